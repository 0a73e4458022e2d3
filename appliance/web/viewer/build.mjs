// Builds ../static/viewer/: the script, the licences of what is in it, and the digests of what it was made from.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const target = "../static/viewer";
const sources = ["build.mjs", "package.json", "package-lock.json", ...(await readdir("src")).sort().map((name) => `src/${name}`)];

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
const made = await build({
  entryPoints: ["src/main.js"], bundle: true, minify: true, format: "esm", target: "es2022", metafile: true, legalComments: "none",
  outfile: `${target}/viewer.js`, define: { "process.env.NODE_ENV": '"production"' },
  alias: { xmlbuilder2: "./src/none.js" },
});

// For packages that say MIT and carry no text of it.
const mit = (about) => `Copyright (c) ${about.author?.name ?? about.author ?? `the authors of ${about.name}`}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

const packages = new Set();
for (const [input, { bytesInOutput }] of Object.entries(Object.values(made.metafile.outputs)[0].inputs)) {
  const found = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (found && bytesInOutput) packages.add(found[1]);
}
const licences = [];
for (const name of [...packages].sort()) {
  const folder = `node_modules/${name}`, about = JSON.parse(await readFile(`${folder}/package.json`, "utf8"));
  const file = (await readdir(folder)).find((one) => /^(licen[cs]e|copying)/i.test(one));
  const text = file ? (await readFile(`${folder}/${file}`, "utf8")).trim() : mit(about);
  licences.push(`${name} ${about.version}: ${about.license}\n\n${text}\n`);
}
await writeFile(`${target}/licences.txt`, licences.join(`\n${"=".repeat(80)}\n\n`));

const digests = {};
for (const name of sources) digests[name] = createHash("sha256").update(await readFile(name)).digest("hex");
digests["viewer.js"] = createHash("sha256").update(await readFile(`${target}/viewer.js`)).digest("hex");
await writeFile(`${target}/sources.json`, `${JSON.stringify(digests, null, 1)}\n`);
