// One classic script and one style sheet: a page opened from disk may load no modules.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { defineConfig } from "vite";

const here = import.meta.dirname;
const out = join(here, "../dci_pipeline/report/explorer/built");
const SOURCES = ["package.json", "package-lock.json", "tsconfig.json", "vite.config.js", "src", "public"];

const files = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path)
        .sort()
        .flatMap((name) => files(join(path, name)))
    : [path];
const sha256 = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

/** What was built from what: a test compares both sides, so that neither changes without the other. */
const recorded = {
  name: "recorded",
  closeBundle() {
    writeFileSync(join(out, "licences.txt"), licences());
    const of = (root, names) =>
      Object.fromEntries(
        names
          .flatMap((name) => files(join(root, name)))
          .map((path) => [relative(root, path), sha256(path)])
          .sort(),
      );
    const built = readdirSync(out).filter((name) => name !== "build.json");
    writeFileSync(
      join(out, "build.json"),
      JSON.stringify({ sources: of(here, SOURCES), built: of(out, built) }, null, 1) + "\n",
    );
  },
};

// Built into packages that are bundled, and so no modules of their own here.
const INSIDE = ["fast-json-patch", "delaunator", "semver"];
const bundled = new Set(INSIDE.map((name) => join(here, "node_modules", name)));
const seen = {
  name: "seen",
  generateBundle(_, bundle) {
    for (const chunk of Object.values(bundle))
      for (const id of chunk.moduleIds ?? []) {
        const found = /^(.*\/node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(id.replace(/^\0/, "").replaceAll("\\", "/"));
        if (found) bundled.add(found[1]);
      }
  },
};

function licences() {
  const told = [...bundled].map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? readFileSync(join(folder, file), "utf8").trim() : "The package holds no licence text.";
    return [`${name} ${version} (${license})`, `${name} ${version} (${license})\n\n${text}\n`];
  });
  const parts = [...new Map(told).entries()].sort().map(([, text]) => text);
  const line = "\n" + "-".repeat(80) + "\n\n";
  return "What the explorer's script is built from, beside its own sources.\n" + line + parts.join(line);
}

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [seen, recorded],
  publicDir: "public",
  build: {
    outDir: out,
    emptyOutDir: true,
    target: "es2022",
    cssCodeSplit: false,
    chunkSizeWarningLimit: 2000,
    rolldownOptions: {
      onwarn: (warning, warn) => warning.code === "MODULE_LEVEL_DIRECTIVE" || warn(warning),
    },
    lib: {
      entry: "src/main.tsx",
      formats: ["iife"],
      name: "dciExplorer",
      fileName: () => "explorer.js",
      cssFileName: "explorer",
    },
  },
  define: { "process.env.NODE_ENV": '"production"' },
});
