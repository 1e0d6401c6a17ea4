// Runs one whole evaluation as a host does, with a client of the TypeScript SDK, and prints what it saw as JSON.
// node evaluate.mjs '{"sdk": "v1" | "v2", "era": "legacy" | "auto", "server": {…}, "suite": …, "target": …, "trials": …, "wait_s": …, "timeout_ms": …}'
// where server is {"command", "args", "cwd", "env"} or {"url", "headers"}.
import * as v1 from "@modelcontextprotocol/sdk/client/index.js";
import * as v1Stdio from "@modelcontextprotocol/sdk/client/stdio.js";
import * as v1Http from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as v2 from "@modelcontextprotocol/client";
import * as v2Stdio from "@modelcontextprotocol/client/stdio";

const asked = JSON.parse(process.argv[2]);
const isV1 = asked.sdk === "v1";
const info = { name: `typescript-${asked.sdk}`, version: "1" };
const client = isV1
  ? new v1.Client(info, { capabilities: {} })
  : new v2.Client(info, { capabilities: {}, versionNegotiation: { mode: asked.era } });
const Stdio = (isV1 ? v1Stdio : v2Stdio).StdioClientTransport;
const Http = (isV1 ? v1Http : v2).StreamableHTTPClientTransport;
const transport = asked.server.url
  ? new Http(new URL(asked.server.url), { requestInit: { headers: asked.server.headers } })
  : new Stdio({ ...asked.server, stderr: "inherit" });

let protocol = null;
const tell = transport.setProtocolVersion?.bind(transport);
transport.setProtocolVersion = (version) => {
  protocol = version;
  tell?.(version);
};
let slowest_ms = 0;
let progress = 0;
const seen = [];

async function call(name, args) {
  const begin = performance.now();
  const options = { timeout: asked.timeout_ms, onprogress: () => { progress += 1; } };
  const params = { name, arguments: args };
  const result = isV1 ? await client.callTool(params, undefined, options) : await client.callTool(params, options);
  slowest_ms = Math.max(slowest_ms, Math.round(performance.now() - begin));
  if (result.isError) throw new Error(result.content[0].text);
  seen.push(name);
  return result;
}

await client.connect(transport);
const { tools } = await client.listTools();
let result = await call("run_suite", {
  suite: asked.suite, target: asked.target, trials: asked.trials, wait_s: asked.wait_s,
});
let run = result.structuredContent;
while (run.status === "working") {
  result = await call("get_run", { run_id: run.run_id, wait_s: asked.wait_s });
  run = result.structuredContent;
}
const failures = run.failures ?? [];
if (failures.length > 0) await call("get_run", { run_id: run.run_id, case: failures[0].case });
protocol = client.getNegotiatedProtocolVersion?.() ?? protocol;
await client.close();
console.log(JSON.stringify({
  protocol, tools: tools.length, status: run.status, done: run.done, cases: run.cases,
  text: result.content[0].text.split("\n")[0], calls: seen.length, progress, slowest_ms,
}));
