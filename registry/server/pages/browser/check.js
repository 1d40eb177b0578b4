// Checks a release in the reader's browser: bundles by their signer, files of the reader's disk by their SHA-256.
//
// Law: nothing is uploaded. A check says PASS for what was checked and holds, FAIL for what was checked and does not,
// UNKNOWN for what could not be checked. What the statement of a release does not list is never PASS.
import { AllOf, AnyOf, Identity, OIDCIssuer, OIDCIssuerV2, SigstoreVerifier } from "@freedomofpress/sigstore-browser";
import { sha256 } from "@noble/hashes/sha2.js";
import publicRoot from "./trusted_root.json";

const RELEASE = "attestations/release.sigstore.json";
const RELEASE_TYPE = "/release/v1";
const PAYLOAD = "application/vnd.in-toto+json";
const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const CURVES = [["P-256", "SHA-256", 32], ["P-384", "SHA-384", 48], ["P-521", "SHA-512", 66]];
const CHUNK = 4 << 20;
const MAX_BUNDLE = 64 << 20;

const form = document.getElementById("check");
const results = document.getElementById("results");

class Unknown extends Error {}

/** Adds a line to the results. */
function say(verdict, subject, words) {
  const row = document.createElement("li");
  const mark = document.createElement("span");
  mark.className = `verdict ${verdict.toLowerCase()}`;
  mark.textContent = verdict;
  const name = document.createElement("code");
  name.textContent = subject;
  row.append(mark, " ", name, ` ${words}`);
  row.dataset.verdict = verdict;
  row.dataset.subject = subject;
  results.append(row);
}

const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** The SHA-256 of a file, read a piece at a time. */
async function digestOf(file, progress) {
  const state = sha256.create();
  for (let at = 0; at < file.size; at += CHUNK) {
    state.update(new Uint8Array(await file.slice(at, at + CHUNK).arrayBuffer()));
    progress(Math.min(at + CHUNK, file.size));
  }
  return hex(state.digest());
}

/** The bytes of an attestation: a file that the reader chose, else what this server gives. */
async function bundleBytes(path, chosen) {
  const own = chosen.find((file) => file.name === path.split("/").pop());
  if (own) {
    if (own.size > MAX_BUNDLE) throw new Unknown("it is larger than a bundle can be");
    return new Uint8Array(await own.arrayBuffer());
  }
  if (!form.dataset.files) throw new Unknown("choose this file, too");
  const answer = await fetch(form.dataset.files + path, { credentials: "same-origin" }).catch(() => null);
  if (!answer || !answer.ok) throw new Unknown("the server does not give it");
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes.length > MAX_BUNDLE) throw new Unknown("it is larger than a bundle can be");
  return bytes;
}

const parsed = (bytes) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));

/** The statement in a bundle, once its signature holds by `signer`: {key, name}, or {identity, issuer, root, name}. */
async function statementOf(bytes, signer) {
  const bundle = parsed(bytes);
  return signer.key ? signedByKey(bundle, signer.key) : signedByIdentity(bundle, signer);
}

/** A public key of a PEM file, with its curve. Source: RFC 5480; the curves and hashes of OpenSSF Model Signing 1.0. */
async function keyOf(file) {
  const text = await file.text();
  const inside = text.match(/^\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/);
  if (!inside) throw new Unknown(`${file.name} is not a public key in PEM`);
  for (const [namedCurve, hash, length] of CURVES) {
    try {
      const der = fromBase64(inside[1].replace(/\s/g, ""));
      const key = await crypto.subtle.importKey("spki", der, { name: "ECDSA", namedCurve }, false, ["verify"]);
      return { key, hash, length };
    } catch {
      continue; // it is of another curve, or of one that this browser does not know
    }
  }
  throw new Unknown(`${file.name} is not a key on ${CURVES.map(([name]) => name).join(", ")} that this browser takes`);
}

/** The two numbers of an ECDSA signature, each in `length` bytes. Source: RFC 3279, section 2.2.3. */
function numbersOf(signature, length) {
  const numbers = [];
  const long = signature[1] === 0x81;
  let at = long ? 3 : 2;
  if (signature[0] !== 0x30 || signature[at - 1] !== signature.length - at) throw new Error("its signature is malformed");
  while (at < signature.length) {
    const size = signature[at + 1];
    if (signature[at] !== 2 || !size || at + 2 + size > signature.length) throw new Error("its signature is malformed");
    const bytes = signature.subarray(at + 2, at + 2 + size);
    const kept = bytes[0] === 0 ? bytes.subarray(1) : bytes;
    if (kept.length > length) throw new Error("its signature is malformed");
    const number = new Uint8Array(length);
    number.set(kept, length - kept.length);
    numbers.push(number);
    at += 2 + size;
  }
  if (numbers.length !== 2) throw new Error("its signature is malformed");
  const both = new Uint8Array(2 * length);
  numbers.forEach((number, index) => both.set(number, index * length));
  return both;
}

/** What a DSSE signature is made over. Source: DSSE 1.0, protocol.md. */
function preAuthenticated(payload) {
  const head = new TextEncoder().encode(`DSSEv1 ${PAYLOAD.length} ${PAYLOAD} ${payload.length} `);
  const all = new Uint8Array(head.length + payload.length);
  all.set(head);
  all.set(payload, head.length);
  return all;
}

async function signedByKey(bundle, { key, hash, length }) {
  if (bundle.mediaType !== BUNDLE) throw new Unknown(`it is a bundle of another form: ${bundle.mediaType}`);
  if (!bundle.verificationMaterial?.publicKey) throw new Error("it is not signed with a bare key");
  const envelope = bundle.dsseEnvelope;
  if (envelope?.payloadType !== PAYLOAD) throw new Error("it does not hold a statement");
  if (envelope.signatures?.length !== 1) throw new Error("it does not have one signature");
  const payload = fromBase64(envelope.payload);
  const numbers = numbersOf(fromBase64(envelope.signatures[0].sig), length);
  if (!(await crypto.subtle.verify({ name: "ECDSA", hash }, key, numbers, preAuthenticated(payload)))) {
    throw new Error("its signature does not hold by the key that you gave");
  }
  return parsed(payload);
}

async function signedByIdentity(bundle, { root, identity, issuer }) {
  const material = bundle.verificationMaterial ?? {};
  if (material.publicKey) throw new Unknown("it is signed with a key: give the public key of whom you expect");
  if (!material.certificate) {
    throw new Unknown("it is signed under an authority of its own: this page cannot check that; the command can");
  }
  const entries = material.tlogEntries ?? [];
  if (!entries.length) throw new Error("it is in no transparency log");
  if (entries.length > 1) throw new Unknown("it has several log entries: the command can check them");
  for (const entry of entries) {
    // What the verifier lets pass where it is missing: a proof that no log signed, and a time that no log promised.
    if (!entry.inclusionProof?.checkpoint?.envelope) throw new Error("its proof of inclusion has no signed checkpoint");
    if (Number(entry.integratedTime ?? 0) && !entry.inclusionPromise?.signedEntryTimestamp) {
      throw new Error("nobody signed the time of its log entry");
    }
  }
  const first = entries[0].logId?.keyId;
  const logs = [...root.tlogs].sort((one, other) => (other.logId.keyId === first) - (one.logId.keyId === first));
  const verifier = new SigstoreVerifier({ tlogThreshold: 1, ctlogThreshold: 1 });
  await verifier.loadSigstoreRoot({ ...root, tlogs: logs });
  const vouching = new AnyOf([new OIDCIssuer(issuer), new OIDCIssuerV2(issuer)]);
  const policy = new AllOf([new Identity({ identity }), vouching]);
  const { payloadType, payload } = await verifier.verifyDsse(bundle, policy);
  if (payloadType !== PAYLOAD) throw new Error(`it holds ${payloadType}, not a statement`);
  return parsed(payload);
}

/** Runs one check, and says how it ends. */
async function ask(subject, question) {
  try {
    say("PASS", subject, await question());
  } catch (problem) {
    say(problem instanceof Unknown ? "UNKNOWN" : "FAIL", subject, problem.message || String(problem));
  }
}

async function rootOf(chosen) {
  if (!chosen) return publicRoot;
  try {
    const root = JSON.parse(await chosen.text());
    if (!Array.isArray(root.tlogs) || !Array.isArray(root.certificateAuthorities)) throw new Error("it names no logs");
    return root;
  } catch (problem) {
    throw new Unknown(`${chosen.name} is not a Sigstore trusted root: ${problem.message}`);
  }
}

async function check() {
  results.replaceChildren();
  const fields = new FormData(form);
  const [identity, issuer] = [fields.get("identity").trim(), fields.get("issuer").trim()];
  const [files, bundles] = ["files", "bundles"].map((name) => [...form.elements[name].files]);
  if (!globalThis.crypto?.subtle) return say("UNKNOWN", "this browser", "has no Web Crypto here: open this page by https");
  const keyFile = form.elements.key.files[0];
  if (keyFile && (identity || issuer)) return say("UNKNOWN", "signer", "name a signer, or give a key: not both");
  if (!keyFile && (!identity || !issuer)) {
    return say("UNKNOWN", "signer", "name who must have signed and who vouches for them, or give their public key");
  }
  let signer, release;
  await ask(RELEASE, async () => {
    signer = keyFile
      ? { key: await keyOf(keyFile), name: `the key of ${keyFile.name}` }
      : { root: await rootOf(form.elements.root.files[0]), identity, issuer, name: identity };
    const found = await statementOf(await bundleBytes(RELEASE, bundles), signer);
    if (!String(found.predicateType).endsWith(RELEASE_TYPE)) throw new Error("it is not the statement of a release");
    const { name, version } = found.predicate;
    if (name !== form.dataset.name || version !== form.dataset.version) {
      throw new Error(`it speaks of ${name} ${version}, not of ${form.dataset.name} ${form.dataset.version}`);
    }
    release = found.predicate;
    return `signed by ${signer.name}; it lists ${release.files.length} files and ${release.attestations.length} attestations`;
  });
  if (!release) return;
  for (const listed of release.attestations) {
    await ask(listed.name, async () => {
      const content = await bundleBytes(listed.name, bundles);
      if (hex(sha256(content)) !== listed.sha256) throw new Error("its bytes are not those that the release lists");
      const found = await statementOf(content, signer);
      if (found.predicateType !== listed.predicateType) throw new Error(`it says ${found.predicateType}`);
      return "the bytes that the release lists, signed by the same";
    });
  }
  for (const file of files) await checkFile(file, release);
  if (!files.length) say("UNKNOWN", "files", "choose files of the release on your disk, to have their bytes compared");
}

async function checkFile(file, release) {
  const status = document.getElementById("status");
  const path = file.webkitRelativePath || file.name;
  await ask(path, async () => {
    const found = await digestOf(file, (done) => {
      status.textContent = `${path}: ${Math.round((100 * done) / (file.size || 1))} %`;
    });
    const named = release.files.filter((one) => one.path.split("/").pop() === file.name);
    const same = named.find((one) => one.sha256 === found && one.size === file.size);
    if (same) return `is ${same.path}, as it was signed: SHA-256 ${found}`;
    if (named.length) throw new Error(`is not ${named.map((one) => one.path).join(" or ")}: its SHA-256 is ${found}`);
    throw new Unknown(`the release lists no file of this name; its SHA-256 is ${found}`);
  });
  status.textContent = "";
}

form.hidden = false;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    await check();
  } catch (problem) {
    say("UNKNOWN", "this page", problem.message || String(problem));
  } finally {
    button.disabled = false;
    results.dataset.done = String(Number(results.dataset.done ?? 0) + 1);
  }
});
