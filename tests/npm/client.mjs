// What npm's @huggingface/hub does with a Hub: create, upload, list, download, delete. Ends with 1 where a step differs.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  createRepo, deleteFile, downloadFile, fileExists, listFiles, listModels, modelInfo, uploadFiles, whoAmI,
} from "@huggingface/hub";

const access = { hubUrl: process.env.HUB, accessToken: process.env.TOKEN };
const [owner] = process.env.REPO.split("/");
const repo = { type: "model", name: process.env.REPO };
const content = {
  "README.md": Buffer.from("---\nlicense: mit\n---\n"),
  "small.txt": Buffer.from("small text\n"),
  "model.safetensors": randomBytes(3_000_000),
};

assert.equal((await whoAmI(access)).name, owner);
await createRepo({ repo, ...access });
const files = Object.entries(content).map(([path, data]) => ({ path, content: new Blob([data]) }));
await uploadFiles({ repo, files, useXet: process.env.XET === "1", ...access });

const listed = [];
for await (const file of listFiles({ repo, ...access })) listed.push(file.path);
assert.deepEqual(listed.sort(), [".gitattributes", "README.md", "model.safetensors", "small.txt"]);
for (const [path, data] of Object.entries(content)) {
  const blob = await downloadFile({ repo, path, ...access });
  assert.ok(data.equals(Buffer.from(await blob.arrayBuffer())), path);
}
await deleteFile({ repo, path: "small.txt", ...access });
assert.equal(await fileExists({ repo, path: "small.txt", ...access }), false);
assert.equal((await modelInfo({ name: repo.name, ...access })).name, repo.name);

const models = [];
for await (const model of listModels({ search: { owner }, ...access })) models.push(model.name);
assert.ok(models.includes(repo.name));
