#!/usr/bin/env node
// chat_hook: tells a chat when a Version's status becomes "rev".
//
// The daemon writes one JSON object per line to stdin. What stands on stdout is the protocol, what stands on stderr our log.

const manifest = {
  name: "chat_hook",
  version: "1.0.0",
  description: "Tells a chat which Versions wait for review.",
  subscriptions: [
    {
      events: { Shotgun_Version_Change: ["sg_status_list"] },
      where: [
        ["meta.new_value", "is", "rev"],
        ["meta.in_create", "is_not", true],
      ],
    },
  ],
  permissions: { sg: [] },
  delivery: { order: "none", max_in_flight: 4 },
};
let config = {}; // [plugin.chat_hook] config = { url = "…" }

/** Posts one message; a chat that is away is tried again by the daemon, later and not for ever. */
async function onEvent(event, { log }) {
  const what = event.entity?.name ?? `Version ${event.meta?.entity_id}`;
  const text = `${event.user?.name ?? "Somebody"} asks for a review of ${what}`;
  if (!config.url) {
    log("info", text);
    return { status: "ok" };
  }
  const response = await fetch(config.url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ text }),
    signal: AbortSignal.timeout(30_000), // well below the two minutes that an event may take
  });
  if (!response.ok) throw new Error(`the chat answered ${response.status}: ${(await response.text()).slice(0, 200)}`);
  return { status: "ok" };
}

// From here on it is the same in every plugin.

console.log = console.info = console.error; // a print must not stand between the messages
if (process.stdin.isTTY) {
  const folder = process.argv[1].replace(/\/[^/]*$/, "");
  console.error(`${manifest.name} is a plugin of sgeventd, which starts it and talks to it through a pipe: nobody types to it.
  check it:  sgeventd check ${folder}
  run it:    [plugins] paths = ["${folder.replace(/\/[^/]*$/, "")}"] in sgeventd.toml, then sgeventd run -c sgeventd.toml`);
  process.exit(64);
}
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
const open = new Map(); // our calls that wait for their answer
let calls = 0;

/** What an event's handler may do; each message names the event. */
const context = (parent) => ({
  call: (method, params) => {
    const id = ++calls;
    say({ id, method, params: { ...params, _meta: { parent } } });
    return new Promise((resolve, reject) => open.set(id, { resolve, reject }));
  },
  log: (level, message) => say({ method: "log", params: { level, message, _meta: { parent } } }),
});

const methods = {
  initialize: () => ({ protocol: 1, manifest }),
  start: (params) => ((config = params.config ?? {}), {}),
  event: (params, id) => onEvent(params.event, context(id)),
  shutdown: () => (setImmediate(() => process.exit(0)), {}),
};

async function onMessage({ id, method, params, result, error }) {
  if (method === undefined) {
    const { resolve, reject } = open.get(id) ?? {};
    open.delete(id);
    return error ? reject?.(new Error(error.message)) : resolve?.(result);
  }
  if (id === undefined) return; // a notification: none that this plugin needs
  if (!(method in methods)) return say({ id, error: { code: -32601, message: `unknown method ${method}` } });
  try {
    say({ id, result: await methods[method](params, id) });
  } catch (failure) {
    const data = { type: failure.name, traceback: failure.stack };
    say({ id, error: { code: -32000, message: failure.message, data } });
  }
}

// Not node:readline, which also breaks lines at U+2028: that may stand in anybody's text.
let rest = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (text) => {
  const lines = (rest + text).split("\n");
  rest = lines.pop();
  lines.filter((line) => line.trim()).forEach((line) => onMessage(JSON.parse(line)));
});
process.stdin.on("end", () => process.exit(0)); // the daemon has gone
