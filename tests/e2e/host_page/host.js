"use strict";
// The host's half of MCP Apps (2026-01-26): hands a tool's result to the page in the frame, and answers what it asks.
const heard = [];
const refused = [];
let tool = null;

const frame = document.getElementById("view");
const DEFAULT_POLICY =
  "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'none'";

const send = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
const tell = (method, params) => send({ method, params });

// `answers`: what a tool call is answered with, by its arguments as JSON; without them the host lets nobody call.
function open(html, given) {
  tool = given;
  document.body.className = given.context?.theme ?? "";
  frame.srcdoc = html.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${DEFAULT_POLICY}">`);
}

addEventListener("message", (event) => {
  if (event.source !== frame.contentWindow || event.data?.jsonrpc !== "2.0") {
    refused.push(event.data);
    return;
  }
  const message = event.data;
  heard.push(message);
  if (message.method === "ui/initialize") {
    const hostCapabilities = tool.answers ? { serverTools: {} } : {};
    const result = {
      protocolVersion: "2026-01-26",
      hostInfo: { name: "small-host", version: "1" },
      hostCapabilities,
      hostContext: tool.context ?? {},
    };
    send({ id: message.id, result });
  } else if (message.method === "ui/notifications/initialized") {
    tell("ui/notifications/tool-input", { arguments: tool.input ?? {} });
    tell("ui/notifications/tool-result", tool.result);
  } else if (message.method === "tools/call") {
    const key = JSON.stringify(message.params.arguments);
    const answer = tool.answers?.[key] ?? { isError: true, content: [{ type: "text", text: `no answer for ${key}` }] };
    send({ id: message.id, result: answer });
  } else if (message.method === "ui/notifications/size-changed") {
    frame.style.height = `${message.params.height}px`;
  }
});
