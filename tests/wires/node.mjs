#!/usr/bin/env node
// A plugin without an SDK that handles several events at once: its wire is recorded.
import { createInterface } from "node:readline";

const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
const tell = (method, params) => send({ method, params });
const open = new Map(); // our calls by id, and the events that wait for `$/cancel`
let calls = 0;

function call(parent, method, params) {
  const id = `call-${++calls}`;
  send({ id, method, params: { ...params, _meta: { parent } } });
  return { id, answer: new Promise((resolve) => open.set(id, resolve)) };
}

async function handle(id, { event, delivery }) {
  if (event.meta.new_value === "slow" && delivery.attempt === 1) {
    tell("$/progress", { id, message: "waits for its deadline", percent: 1, extend_ms: 300 });
    await new Promise((resolve) => open.set(id, resolve));
    return { error: { code: -32800, message: "cancelled" } };
  }
  if (event.meta.new_value !== "one") return { result: { status: "skip", reason: "not for me" } };
  const found = await call(id, "sg.find_one", { entity_type: "Shot", filters: [["id", "is", 1]], fields: ["code"] }).answer;
  const withdrawn = call(id, "sg.find", { entity_type: "Shot", filters: [] });
  tell("$/cancel", { id: withdrawn.id });
  await withdrawn.answer; // a result, when it was faster
  const refused = await call(id, "sg.rpc", { method: "get_session_token" }).answer;
  const unknown = await call(id, "sg.fnd", {}).answer;
  await call(id, "state.set", { key: "codes", value: [refused.error.code, unknown.error.code] }).answer;
  await call(id, "state.delete", { key: "codes" }).answer;
  tell("log", { level: "info", message: `found ${found.result.code}`, fields: { id } });
  tell("$/unknown", {});
  return { result: { status: "ok", errors: ["nothing serious"] } };
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const { id, method, params, ...answer } = JSON.parse(line);
  if (method === "initialize") {
    const manifest = {
      name: "node",
      subscriptions: [{ id: "described", events: { Shotgun_Shot_Change: ["description"] } }],
      delivery: { max_in_flight: 4, order: "none", timeout_ms: 500, max_attempts: 2 },
    };
    send({ id, result: { protocol: 1, manifest, features: { cancel: true, progress: true } } });
  } else if (method === "start") send({ id, result: {} });
  else if (method === "event") handle(id, params).then((answer) => send({ id, ...answer }));
  else if (method === "shutdown") send({ id, result: {} });
  else if (method === "$/cancel") open.get(params.id)?.();
  else if (id !== undefined && method === undefined) open.get(id)?.(answer);
}
