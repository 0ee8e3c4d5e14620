// The plugin's test: the plugin as a child, what the daemon would write, no site. Run it with `node --test`.
import assert from "node:assert";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { test } from "node:test";

/** The plugin, started with a config. */
async function started(config) {
  const child = spawn(process.execPath, [new URL("plugin.mjs", import.meta.url).pathname]);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async () => JSON.parse((await lines.next()).value);
  const write = (message) => child.stdin.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n");
  write({ id: 1, method: "initialize", params: { protocol: { supported: [1] } } });
  assert.strictEqual((await read()).result.protocol, 1);
  write({ id: 2, method: "start", params: { config } });
  await read();
  return { read, write, end: () => child.stdin.end() };
}

const change = (new_value) => ({
  id: 3,
  method: "event",
  params: { event: { event_type: "Shotgun_Task_Change", meta: { entity_id: 7, new_value } } },
});

test("a final Task is logged", async () => {
  const { read, write, end } = await started({});
  write(change("fin"));
  const call = await read();
  assert.strictEqual(call.method, "sg.find_one");
  assert.deepStrictEqual(call.params.filters, [["id", "is", 7]]);
  write({ id: call.id, result: { type: "Task", id: 7, content: "comp", entity: { name: "sh010" } } });
  assert.strictEqual((await read()).params.message, "task is fin: comp of sh010");
  assert.deepStrictEqual((await read()).result, { status: "ok" });
  end();
});

test("the config says which status", async () => {
  const { read, write, end } = await started({ status: "apr" });
  write(change("fin"));
  assert.strictEqual((await read()).result.status, "skip");
  end();
});
