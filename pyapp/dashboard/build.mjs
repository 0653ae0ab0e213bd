// Bundles the pages into one script and one style sheet, whose names have the hash of what is in them, and writes which
// is which into manifest.json. build.py runs this, and says where to.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { PurgeCSS } from "purgecss";

const target = process.argv[2];
if (!target) {
  throw new Error("usage: node build.mjs DIRECTORY");
}

const result = await build({
  entryPoints: { app: "src/main.tsx", theme: "src/theme.ts", sign_in: "src/sign_in.ts" },
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  // Inlined pictures would need `data:` in the policy; there are none that matter.
  loader: { ".svg": "dataurl" },
  outdir: target,
  write: false,
  metafile: true,
  logLevel: "warning",
});

// Most of the style sheet is for what the pages do not have.
const markup = ["src/**/*.tsx", "../tallymark/web/templates/*.html"];

async function withoutUnused(css) {
  const inScripts = await variablesOfScripts();
  const [purged] = await new PurgeCSS().purge({
    content: markup,
    css: [{ raw: css }],
    defaultExtractor: (text) => text.match(/[\w-]+/g) ?? [],
    // Set by scripts, so that no markup has them whole.
    safelist: { standard: [/^u-/, "uplot"], greedy: [/data-bs-theme/], variables: inScripts },
    fontFace: true,
    keyframes: true,
    variables: true,
  });
  const before = declared(css);
  const after = declared(purged.css);
  // With something to fall back on it may be that only what the pages do not have sets it.
  const used = [...purged.css.matchAll(/var\((--[\w-]+)\)/g)].map((match) => match[1]);
  const lost = [...used, ...inScripts].filter((name) => before.has(name) && !after.has(name));
  if (lost.length > 0) {
    throw new Error(`the style sheet has lost ${[...new Set(lost)].join(", ")}`);
  }
  return purged.css;
}

/** Finds the variables that scripts read, which the style sheet itself may not use. */
async function variablesOfScripts() {
  const names = new Set();
  for (const entry of await readdir("src", { recursive: true })) {
    if (/\.tsx?$/.test(entry)) {
      for (const match of (await readFile(join("src", entry), "utf8")).matchAll(/--[a-z][\w-]+/g)) {
        names.add(match[0]);
      }
    }
  }
  return [...names];
}

function declared(css) {
  return new Set([...css.matchAll(/(--[\w-]+)\s*:/g)].map((match) => match[1]));
}

await mkdir(target, { recursive: true });
const manifest = {};
for (const file of result.outputFiles) {
  const name = file.path.slice(file.path.lastIndexOf("/") + 1);
  const content = name.endsWith(".css") ? Buffer.from(await withoutUnused(file.text)) : Buffer.from(file.contents);
  const dot = name.lastIndexOf(".");
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 12);
  const hashed = `${name.slice(0, dot)}-${hash}${name.slice(dot)}`;
  manifest[name] = hashed;
  await writeFile(join(target, hashed), content);
  await writeFile(join(target, `${hashed}.gz`), gzipSync(content, { level: 9 }));
}
await writeFile(join(target, "LICENSES.txt"), await licences(result.metafile));
// The files first, then the list of them, then without those of before: a server may be reading here.
await writeFile(join(target, "manifest.new"), `${JSON.stringify(manifest, null, 2)}\n`);
await rename(join(target, "manifest.new"), join(target, "manifest.json"));
const kept = new Set([
  "manifest.json",
  "LICENSES.txt",
  ...Object.values(manifest).flatMap((name) => [name, `${name}.gz`]),
]);
for (const name of await readdir(target)) {
  if (!kept.has(name)) {
    await rm(join(target, name));
  }
}

/** Collects what the authors of the bundled packages ask to have passed on. */
async function licences(metafile) {
  const packages = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const found = input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (found) {
      packages.add(found[1]);
    }
  }
  const texts = ["The scripts and style sheets here contain the packages below, under the licences that follow.\n"];
  for (const name of [...packages].sort()) {
    const folder = join("node_modules", name);
    const about = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? await readFile(join(folder, file), "utf8") : await banner(folder, about);
    texts.push(`\n=== ${name} ${about.version} (${about.license})\n\n${text}`);
  }
  return texts.join("");
}

/** What a package without a file for its licence says at the head of what it is used for. */
async function banner(folder, about) {
  const head = (await readFile(join(folder, about.style ?? about.main), "utf8")).match(/\/\*!([\s\S]*?)\*\//);
  if (!head) {
    throw new Error(`${about.name} says nowhere what its licence asks for`);
  }
  return `${head[1].replace(/^ ?\* ?/gm, "").trim()}\n`;
}
