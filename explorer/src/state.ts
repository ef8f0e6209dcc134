// What is chosen, as the part of the address behind the #: a link opens the same view, and Back goes back.
import type { Lang, Manifest } from "./data";

export type Theme = "auto" | "light" | "dark";

export type State = {
  node: string;
  freq: string;
  period: string;
  type: string;
  within: string;
  measure: string;
  sort: string;
  q: string;
  sel: string[];
  of: string;
  lang: Lang;
  theme: Theme;
};

export const MOST_SELECTED = 6;
export const MEASURES = ["points", "share", "growth_yoy", "rank"] as const;

const language = (): Lang => (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

/** The last period that is whole; the last one where none is. */
export function wholePeriod(manifest: Manifest, freq: string): string {
  const found = manifest.frequencies.find((item) => item.id === freq) ?? manifest.frequencies[0]!;
  const most = Math.max(...found.covered);
  for (let at = found.periods.length - 1; at >= 0; at--)
    if (!found.covered.length || found.covered[at] === most) return found.periods[at]!;
  return found.periods.at(-1) ?? "";
}

/** The tree that bears the index's name, else the first. */
export const firstNode = ({ nodes, index }: Manifest): string =>
  (nodes.find((node) => node.id === index) ?? nodes.find((node) => !node.parent)!).id;

/** The most numerous type of ranked place that a node has. */
export function usualType(manifest: Manifest, types: string[]): string {
  const counted = new Map<string, number>();
  for (const place of manifest.places)
    if (manifest.ranked.includes(place.type) && types.includes(place.type))
      counted.set(place.type, (counted.get(place.type) ?? 0) + 1);
  return [...counted].sort((a, b) => b[1] - a[1])[0]?.[0] ?? types[0]!;
}

/** The state an address describes; what it leaves out or gets wrong is as usual. */
export function read(hash: string, manifest: Manifest): State {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const among = (name: string, known: readonly string[], usual: string): string => {
    const found = given.get(name);
    return found !== null && known.includes(found) ? found : usual;
  };
  const freq = among(
    "freq",
    manifest.frequencies.map((item) => item.id),
    manifest.frequencies[0]!.id,
  );
  const periods = manifest.frequencies.find((item) => item.id === freq)!.periods;
  const keys = new Set(manifest.places.map(keyOf));
  const node = among(
    "node",
    manifest.nodes.map((item) => item.id),
    firstNode(manifest),
  );
  const { types } = manifest.nodes.find((item) => item.id === node)!;
  const sel = [...new Set((given.get("sel") ?? "").split(",").filter((key) => keys.has(key)))].slice(0, MOST_SELECTED);
  return {
    node,
    freq,
    period: among("period", periods, wholePeriod(manifest, freq)),
    type: among("type", types, usualType(manifest, types)),
    within: among("within", [...keys], ""),
    measure: among("measure", MEASURES, "points"),
    sort: /^-?[a-z_0-9]+$/.test(given.get("sort") ?? "") ? given.get("sort")! : "rank",
    q: given.get("q") ?? "",
    sel,
    of: among("of", sel, ""),
    lang: among("lang", ["zh", "en"], language()) as Lang,
    theme: among("theme", ["light", "dark"], "auto") as Theme,
  };
}

/** The address of a state. */
export function write(state: State): string {
  const parts = Object.entries(state)
    .map(([name, value]) => [name, Array.isArray(value) ? value.join(",") : value] as const)
    .filter(([name, value]) => value !== "" && !(name === "theme" && value === "auto"))
    .map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2C", ",").replaceAll("%3A", ":")}`);
  return `#${parts.join("&")}`;
}

export const keyOf = (place: { type: string; code: string }): string => `${place.type}:${place.code}`;
