"use strict";
// Draws the result of run_suite, get_run and compare_models inside a host. Everything that comes in is text: nodes are
// made here and filled by textContent, so that nothing a model wrote can become markup, an address or a style.
(() => {
  const LIST = 100;
  const VALUE = 400;
  const LONG = 12000;
  const main = document.getElementById("main");

  // --- talking with the host: JSON-RPC by postMessage

  const waiting = new Map();
  let lastId = 0;
  let canCall = false;
  let asked = {};

  const send = (message) => parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  const request = (method, params) =>
    new Promise((resolve, reject) => {
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      send({ id: lastId, method, params });
    });
  const callTool = async (name, args) => {
    const result = await request("tools/call", { name, arguments: args });
    if (result?.isError || !result?.structuredContent) throw new Error(said(result) || "the server gave no answer");
    return result.structuredContent;
  };
  const said = (result) => {
    const parts = Array.isArray(result?.content) ? result.content : [];
    return parts.filter((part) => typeof part?.text === "string").map((part) => part.text).join("\n");
  };

  const notified = {
    "ui/notifications/tool-input": (params) => (asked = params?.arguments ?? {}),
    "ui/notifications/tool-result": (params) => show(params ?? {}),
    "ui/notifications/tool-cancelled": () => draw(p("waiting", "The call was cancelled.")),
    "ui/notifications/host-context-changed": (params) => follow(params ?? {}),
  };
  addEventListener("message", (event) => {
    const message = event.data;
    if (event.source !== parent || message?.jsonrpc !== "2.0") return;
    if (message.method !== undefined) {
      if (message.id === undefined) {
        if (Object.hasOwn(notified, message.method)) notified[message.method](message.params);
      } else if (message.method === "ping" || message.method === "ui/resource-teardown") {
        send({ id: message.id, result: {} });
      } else {
        send({ id: message.id, error: { code: -32601, message: "unknown method" } });
      }
      return;
    }
    const pending = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error) pending?.reject(new Error(String(message.error.message ?? "the host refused")));
    else pending?.resolve(message.result);
  });

  // The host's theme and colours; names and values are looked at, because they end in a style.
  const follow = (context) => {
    if (context.theme === "light" || context.theme === "dark") document.documentElement.dataset.theme = context.theme;
    for (const [name, value] of Object.entries(context.styles?.variables ?? {})) {
      if (/^--[a-z0-9-]+$/.test(name) && typeof value === "string" && !/url\(/i.test(value)) {
        document.documentElement.style.setProperty(name, value);
      }
    }
  };

  let ready = false;
  let told = "";
  const tellSize = () => {
    const height = Math.ceil(document.documentElement.getBoundingClientRect().height);
    const size = { width: Math.ceil(innerWidth), height };
    if (!ready || told === JSON.stringify(size)) return;
    told = JSON.stringify(size);
    send({ method: "ui/notifications/size-changed", params: size });
  };

  // --- making nodes

  // What a reader cannot see, and what turns the direction of writing.
  const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]|[\u{e0000}-\u{e0fff}]/gu;
  const cut = (value, limit = VALUE) => {
    const text = (typeof value === "string" ? value : JSON.stringify(value) ?? "").slice(0, limit * 4).replace(UNSEEN, "");
    const more = (typeof value === "string" ? value.length : text.length) - limit;
    return text.length > limit ? `${text.slice(0, limit)}… (+${more} characters)` : text;
  };
  const node = (made, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return made;
  };
  const h = (name, attributes, ...children) => node(document.createElement(name), attributes, children);
  const s = (name, attributes, ...children) =>
    node(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
  const p = (kind, ...children) => h("p", { class: kind }, ...children);
  const bdi = (text, limit) => h("bdi", {}, cut(text, limit));
  const code = (text) => h("code", { class: "call" }, bdi(text));
  const first = (list) => (Array.isArray(list) ? list.slice(0, LIST) : []);
  const entries = (found) => Object.entries(found ?? {}).slice(0, LIST);
  const button = (text, act) => {
    const made = h("button", { type: "button" }, text);
    made.addEventListener("click", async () => {
      made.disabled = true;
      announce("Asking the server");
      try {
        await act(made);
      } catch (error) {
        made.replaceWith(problem(error));
      }
    });
    return made;
  };
  const problem = (error) => p("cut", cut(error.message, 1000));
  const announce = (text) => (document.getElementById("status").textContent = text);
  const draw = (...children) => {
    main.replaceChildren(...children.flat().filter(Boolean));
    main.setAttribute("aria-busy", "false");
  };

  // --- numbers

  const number = (value) => (Number.isFinite(value) ? value : 0);
  const share = (value, n) => `${(number(value) * 100).toFixed(n >= 200 ? 1 : 0)}%`;
  const points = (value, n) => {
    const text = (Math.abs(number(value)) * 100).toFixed(n >= 200 ? 1 : 0);
    return Number(text) === 0 ? text : `${value < 0 ? "−" : "+"}${text}`;
  };
  const score = (value) => (Number.isFinite(value) ? value.toFixed(2) : "–");
  const percent = (value) => `${Math.min(100, Math.max(0, value)).toFixed(2)}%`;
  const words = (value) => cut(value).replaceAll("_", " ");
  const VERDICTS = ["passed", "warned", "failed", "errored"];

  // --- pictures

  const line = (kind, x1, x2, y1, y2) => s("line", { class: kind, x1, x2, y1, y2 });
  const whisker = (estimate, name) => {
    const [low, value, high] = [estimate.low, estimate.value, estimate.high].map((end) => percent(number(end) * 100));
    const label = `${name}: ${share(estimate.value, estimate.n)}, interval from ${share(estimate.low, estimate.n)} to ${share(estimate.high, estimate.n)}, on a scale from 0 to 100 percent`;
    return s(
      "svg",
      { class: "scale", role: "img", "aria-label": label },
      ["0%", "25%", "50%", "75%", "100%"].map((tick) => line("tick", tick, tick, 3, 25)),
      line("axis", "0%", "100%", 14, 14),
      line("whisker", low, high, 14, 14),
      line("end", low, low, 8, 20),
      line("end", high, high, 8, 20),
      s("circle", { class: "dot", cx: value, cy: 14, r: 6 }),
    );
  };
  const label = (x, y, anchor, text) => s("text", { x, y, "text-anchor": anchor }, text);
  const axis = () =>
    s(
      "svg",
      { class: "scale axis-words", "aria-hidden": "true" },
      label("0%", 12, "start", "0"),
      label("25%", 12, "middle", "25"),
      label("50%", 12, "middle", "50"),
      label("75%", 12, "middle", "75"),
      label("100%", 12, "end", "100 %"),
    );
  const measure = (name, estimate, kind, last) =>
    h(
      "div",
      { class: `measure ${kind}` },
      h("h2", {}, bdi(name, 80)),
      p("big", share(estimate.value, estimate.n)),
      h("div", { class: "drawn" }, whisker(estimate, cut(name, 80)), last && axis()),
      p("ends", `${share(estimate.low, estimate.n)} to ${share(estimate.high, estimate.n)}`, h("span", {}, `n = ${number(estimate.n)}`)),
    );
  const gap = (found, names) => {
    const margin = number(found.margin ?? 0.05);
    const { low, value, high, n } = found.difference;
    const widest = 100 * Math.max(Math.abs(low), Math.abs(high), margin * 1.5);
    const bound = [5, 10, 20, 30, 40, 50, 60, 80].find((end) => widest <= end) ?? 100;
    const at = (share) => percent(50 + (50 * number(share) * 100) / bound);
    const spoken = `Difference ${points(value, n)} points, interval from ${points(low, n)} to ${points(high, n)}; gaps within ${margin * 100} points were said not to matter`;
    return h(
      "figure",
      { class: "gap" },
      s(
        "svg",
        { class: "difference", role: "img", "aria-label": spoken },
        s("rect", { class: "margin", x: at(-margin), y: 8, width: percent((100 * margin * 100) / bound), height: 40 }),
        line("axis", "0%", "100%", 48, 48),
        line("zero", "50%", "50%", 4, 52),
        line("whisker", at(low), at(high), 28, 28),
        line("end", at(low), at(low), 20, 36),
        line("end", at(high), at(high), 20, 36),
        s("circle", { class: "dot", cx: at(value), cy: 28, r: 7 }),
        label("0%", 66, "start", `−${bound}`),
        label("50%", 66, "middle", "0"),
        label("100%", 66, "end", `+${bound} points`),
      ),
      h("figcaption", {}, h("span", {}, "◂ ", bdi(names[0], 80), " is better"), h("span", {}, bdi(names[1], 80), " is better ▸")),
    );
  };
  const mark = (verdict, text = verdict) =>
    VERDICTS.includes(verdict)
      ? h("span", { class: `mark ${verdict}` }, s("svg", { "aria-hidden": "true" }, s("use", { href: `#${verdict}` })), h("span", {}, text))
      : h("span", { class: "mark" }, words(verdict));
  const bar = (tally) => {
    const counts = VERDICTS.map((verdict) => number(tally[verdict]));
    const total = counts.reduce((sum, count) => sum + count, 0);
    let x = 0;
    const parts = VERDICTS.map((verdict, index) => {
      const made = s("rect", { class: verdict, x: percent((100 * x) / total), width: percent((100 * counts[index]) / total), height: "100%" });
      x += counts[index];
      return counts[index] && made;
    });
    return total ? s("svg", { class: "bar", "aria-hidden": "true" }, parts.filter(Boolean)) : null;
  };

  // --- cases to open

  // A case whose evidence is fetched when it is opened, or a plain line where the host lets nobody ask.
  const openable = (summary, fetchAll) => {
    if (!canCall) return h("div", { class: "case closed" }, summary);
    const body = h("div", { class: "body" }, p("waiting", "Opening…"));
    const made = h("details", { class: "case" }, h("summary", {}, summary), body);
    made.addEventListener("toggle", async () => {
      if (!made.open || made.dataset.opened) return;
      made.dataset.opened = "yes";
      try {
        body.replaceChildren(...(await fetchAll()));
      } catch (error) {
        delete made.dataset.opened;
        body.replaceChildren(problem(error));
      }
    });
    return made;
  };
  const failure = (runId, found) =>
    openable(
      [
        mark(found.verdict),
        h("span", { class: "name" }, bdi(found.case)),
        h("span", { class: "tries" }, `${cut(found.trials ?? "", 20)} trials`),
        h("span", { class: "score" }, score(found.score)),
        found.reason && h("span", { class: "reason", dir: "auto" }, cut(found.reason)),
      ],
      async () => {
        const held = await callTool("get_run", { run_id: runId, case: found.case });
        return [trial(untold(held, found.reason))];
      },
    );

  // Without the reason that stands in the line above already.
  const untold = (held, told) => ({ ...held, reason: held.reason === told ? undefined : held.reason });

  const STANDING = {
    matched: "as expected",
    wrong_argument: "wrong argument",
    wrong_tool: "another tool",
    missing: "never called",
    extra: "not expected",
    out_of_order: "out of order",
    hallucinated: "no such tool",
  };
  const side = (word, call) => h("div", {}, h("dt", {}, word), h("dd", {}, call ? code(call) : h("span", { class: "nothing" }, "nothing")));
  const callRow = (row) =>
    h(
      "li",
      { class: row.status === "matched" ? "fits" : "off" },
      p("status", STANDING[row.status] ?? words(row.status)),
      row.status === "matched" && row.actual ? code(row.actual) : h("dl", { class: "sides" }, side("expected", row.expected), side("called", row.actual)),
      first(row.why).map((why) => p("cut", bdi(why))),
    );
  const checkRow = (check) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("code", {}, bdi(check.name)), check.gate && h("span", { class: "kind" }, "gate")),
      h("td", {}, check.score === 1 ? "ok" : check.score === 0 ? "failed" : check.score === undefined || check.score === null ? "not evaluated" : score(check.score)),
      h("td", {}, check.reason ? bdi(check.reason) : check.actual !== undefined ? h("code", {}, bdi(check.actual)) : ""),
    );
  const trial = (found) => {
    const checks = first(found.checks).filter((check) => !String(check.name).startsWith("call."));
    const calls = first(found.calls);
    return h(
      "div",
      { class: "trial-evidence" },
      found.reason && h("p", { class: "why", dir: "auto" }, cut(found.reason, 1000)),
      calls.length > 0 && h("ol", { class: "calls" }, calls.map(callRow)),
      checks.length > 0 &&
        h(
          "div",
          { class: "wide" },
          h("table", { class: "checks" }, h("caption", {}, "Checks"), h("thead", {}, h("tr", {}, ["check", "result", "found"].map((word) => h("th", { scope: "col" }, word)))), h("tbody", {}, checks.map(checkRow))),
        ),
      found.other_trials && p("cut", `Trials of this case: ${cut(found.other_trials)}`),
      found.transcript && h("div", { class: "talk said", dir: "auto" }, cut(found.transcript, LONG)),
    );
  };

  // --- views

  const head = (eyebrow, sentence) =>
    h(
      "section",
      { class: "head" },
      h("p", { class: "eyebrow" }, eyebrow),
      h("h1", { dir: "auto", class: String(sentence).length > 160 ? "long" : "" }, cut(sentence, 3000)),
    );
  const notes = (listed) => first(listed).length > 0 && h("ul", { class: "notes" }, first(listed).map((note) => h("li", { dir: "auto" }, cut(note, 600))));
  const working = (found, again) =>
    found.status === "working" &&
    h(
      "section",
      { "aria-label": "Progress" },
      h("progress", { max: Math.max(1, number(found.total)), value: number(found.done), "aria-label": "Trials done" }),
      p("cut", `${number(found.done)} of ${number(found.total)} trials`),
      canCall && h("div", { class: "buttons" }, button("Look again", async () => view(await again()))),
    );
  const next = (found) => found.next_step && found.status !== "working" && p("next", h("b", {}, "Next"), " ", bdi(found.next_step));

  const run = (found) => {
    const tally = found.cases ?? {};
    const counts = VERDICTS.filter((verdict) => number(tally[verdict]) > 0);
    const list = h("div", { class: "group" }, first(found.failures).map((failed) => failure(found.run_id, failed)));
    const lost = first(found.failures).length;
    let shown = lost;
    const more = canCall && number(found.more_failures) > 0
      ? button(`Show more of ${number(found.more_failures)}`, async (made) => {
          const page = await callTool("get_run", { run_id: found.run_id, offset: shown });
          list.append(...first(page.failures).map((failed) => failure(found.run_id, failed)));
          shown += first(page.failures).length;
          made.disabled = false;
          made.hidden = !number(page.more_failures);
          made.textContent = `Show more of ${number(page.more_failures)}`;
        })
      : null;
    draw(
      head([bdi(found.suite), h("span", {}, " against "), bdi(found.target), found.track && h("span", {}, " on "), found.track && bdi(found.track)], found.verdict),
      working(found, () => callTool("get_run", { run_id: found.run_id, wait_s: 20 })),
      h(
        "section",
        { class: "numbers", "aria-label": "Numbers" },
        found.pass_rate && measure("Pass rate", found.pass_rate, "", !found.score),
        found.score && measure("Mean score", found.score, "", true),
        h("div", { class: "counts" }, h("h2", {}, "Cases"), bar(tally), h("ul", { class: "tally" }, counts.map((verdict) => h("li", {}, h("b", {}, String(tally[verdict])), " ", mark(verdict))))),
      ),
      entries(found.errors).length > 0 && p("cut", `Trials without a score, not counted as failed: ${entries(found.errors).map(([kind, count]) => `${words(kind)} ${number(count)}`).join(", ")}`),
      notes(found.notes),
      lost > 0 && h("section", { "aria-labelledby": "lost" }, h("h2", { id: "lost" }, "Did not pass"), list, number(found.more_failures) > 0 && (more ?? p("cut", `${number(found.more_failures)} more`))),
      next(found),
    );
  };

  const changed = (found, word) =>
    first(found[word]).map((one) =>
      openable(
        [
          h("span", { class: `way ${word}` }, word),
          h("span", { class: "name" }, bdi(one.case)),
          h("span", { class: "tries" }, `${cut(one.baseline, 20)} → ${cut(one.candidate, 20)}`),
          h("span", {}),
          one.reason && h("span", { class: "reason", dir: "auto" }, cut(one.reason)),
        ],
        async () => {
          const arms = [found.baseline, found.candidate].filter(Boolean);
          const trials = await Promise.all(arms.map((arm) => callTool("get_run", { run_id: arm.run_id, case: one.case })));
          return [
            h(
              "div",
              { class: "columns" },
              trials.map((held, index) => h("section", { class: "column" }, h("h3", {}, bdi(arms[index].name, 80)), p("outcome", mark(held.verdict), ` score ${score(held.score)}`), trial(untold(held, one.reason)))),
            ),
          ];
        },
      ),
    );
  const WORDS = { no_detectable_difference: "could not tell", equivalent: "no difference that matters", not_comparable: "cannot be compared" };
  const comparison = (found) => {
    const names = [found.baseline?.name ?? "baseline", found.candidate?.name ?? "candidate"];
    const arms = [found.baseline, found.candidate].filter((arm) => arm?.estimate);
    const kind = /^[a-z_]+$/.test(found.verdict) ? found.verdict : "";
    return h(
      "section",
      { class: `comparison ${kind}` },
      h("h2", {}, bdi(names[1], 80), h("span", {}, " against "), bdi(names[0], 80), " ", h("em", { class: "pill" }, WORDS[found.verdict] ?? words(found.verdict))),
      arms.map((arm, index) => measure(arm.name, arm.estimate, "arm", index === arms.length - 1)),
      found.difference &&
        p(
          "gap-words",
          `Difference in ${found.metric === "score" ? "mean score" : "pass rate"}: `,
          h("b", {}, `${points(found.difference.value, found.difference.n)} points`),
          `, likely between ${points(found.difference.low, found.difference.n)} and ${points(found.difference.high, found.difference.n)}. The grey band holds gaps that were said not to matter.`,
        ),
      found.difference && gap(found, names),
      found.counts && p("cut", bdi(found.counts, 1000)),
      first(found.flags).length > 0 && p("cut", `To know: ${first(found.flags).map(words).join(", ")}`),
      notes(found.notes),
      h("div", { class: "group" }, changed(found, "worse"), changed(found, "better")),
    );
  };
  const table = (found) =>
    draw(
      head([h("span", {}, "Comparison")], found.sentence),
      working(found, () => callTool("compare_models", { ...asked, wait_s: 20 })),
      first(found.comparisons).map(comparison),
      entries(found.ranks).length > 0 && p("cut", "Rank: ", entries(found.ranks).map(([name, rank], index) => [index ? ", " : "", bdi(name, 80), ` ${cut(rank, 20)}`]).flat()),
      next(found),
    );
  const oneTrial = (found) =>
    draw(
      head([mark(found.verdict), " ", bdi(found.case), " ", h("span", {}, `score ${score(found.score)}`)], found.reason ?? `${found.case}: ${found.verdict}`),
      h("section", { "aria-label": "Evidence" }, trial({ ...found, reason: undefined })),
      next(found),
    );

  const view = (found) => {
    if (typeof found.sentence === "string") table(found);
    else if (typeof found.run_id === "string" && found.total !== undefined) run(found);
    else if (typeof found.case === "string") oneTrial(found);
    else return false;
    announce("Result shown");
    return true;
  };
  const show = (result) => {
    const found = result.structuredContent;
    if (result.isError || !found || typeof found !== "object" || !view(found)) {
      draw(h("p", { class: "said", dir: "auto" }, cut(said(result) || "The tool gave no result that can be drawn.", LONG)));
    }
  };

  new ResizeObserver(tellSize).observe(document.documentElement);
  request("ui/initialize", {
    protocolVersion: "2026-01-26",
    appInfo: { name: "mcp-evals", version: "1" },
    appCapabilities: {},
  }).then((host) => {
    canCall = Boolean(host?.hostCapabilities?.serverTools);
    follow(host?.hostContext ?? {});
    ready = true;
    send({ method: "ui/notifications/initialized" });
    tellSize();
  });
})();
