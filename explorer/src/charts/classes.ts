// Values in classes for a map. Boundaries are rounded first, so that the legend says exactly what is drawn.
import type { Colours } from "../data";
import type { Numbers } from "../format";
import { figures } from "../format";

export type Classes = { bounds: number[]; labels: string[]; colours: string[] };

const COUNT = 7;

/** At most seven classes of about equally many values; two directions where there are values on both sides of zero. */
export function classes(
  values: number[],
  form: string,
  scale: number,
  fixed: number | null,
  ranks: boolean,
  signed: boolean,
  write: Numbers,
  colours: Colours,
): Classes {
  const known = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  if (!known.length) return { bounds: [], labels: [], colours: [] };
  const [low, high] = [known[0]!, known.at(-1)!];
  const decimals = fixed ?? figures(Math.abs(known[Math.floor(known.length * 0.8)]! * scale));
  const step = 10 ** -decimals / scale;
  const two = signed && low < 0 && high > 0;
  let wanted = Array.from({ length: COUNT - 1 }, (_, at) => known[Math.ceil(((at + 1) * known.length) / COUNT)]).filter(
    (value): value is number => value !== undefined,
  );
  if (two) {
    const nearest = wanted.reduce((best, bound) => (Math.abs(bound) < Math.abs(best) ? bound : best), wanted[0]!);
    wanted = [...wanted.filter((bound) => bound !== nearest), 0];
  }
  const bounds = [...new Set(wanted.map((bound) => Math.round(bound / step) * step))]
    .sort((a, b) => a - b)
    .filter((bound) => bound > low && bound <= high);
  const said = bounds.map((bound) => write(bound, form, { decimals }));
  const labels = said.length
    ? [`< ${said[0]}`, ...said.slice(1).map((text, at) => `${said[at]} – ${text}`), `≥ ${said.at(-1)}`]
    : [write(low, form)];
  return {
    bounds,
    labels,
    colours: two
      ? diverging(bounds, colours)
      : steps(ranks ? [...colours.sequential].reverse() : colours.sequential, labels.length),
  };
}

/** The class of a value: a bound belongs to the class above it. */
export function classOf({ bounds }: Classes, value: number): number {
  let at = 0;
  while (at < bounds.length && value >= bounds[at]! - 1e-12) at++;
  return at;
}

const steps = (scheme: string[], count: number): string[] =>
  Array.from(
    { length: count },
    (_, at) => scheme[count === 1 ? scheme.length >> 1 : Math.round((at * (scheme.length - 1)) / (count - 1))]!,
  );

function diverging(bounds: number[], { diverging: scheme }: Colours): string[] {
  const below = bounds.filter((bound) => bound <= 0).length;
  const above = bounds.length + 1 - below;
  const half = scheme.length >> 1;
  const most = Math.max(below, above);
  return [
    ...steps(scheme.slice(0, half), most).slice(most - below),
    ...steps(scheme.slice(half + 1), most).slice(0, above),
  ];
}
