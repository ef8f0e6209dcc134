// What the files under data/ hold, and loading them: a script each, for a page opened from disk may fetch nothing.

export type Lang = "zh" | "en";
export type Named = { zh: string; en: string };

export type Place = Named & {
  type: string;
  code: string;
  short?: string;
  lon?: number;
  lat?: number;
  groups?: number[];
  also?: string[];
};

export type Frequency = {
  id: string;
  table: string;
  periods: string[];
  covered: number[];
  contributions: string | null;
  uncertainty: string | null;
};

export type TreeNode = Named & {
  id: string;
  parent: string | null;
  assumption: boolean;
  has: Record<string, string[]>;
  types: string[];
};

/** How a kind of number is written; made by the program that writes the report, so that both word them alike. */
export type Form = { scale: number; decimals: number | null; after: Partial<Named>; said: Partial<Named>; d3: string };

export type Colours = {
  surface: string;
  raised: string;
  ink: string;
  muted: string;
  line: string;
  grid: string;
  accent: string;
  focus: string;
  rise: string;
  fall: string;
  no_data: string;
  border: string;
  categorical: string[];
  sequential: string[];
  diverging: string[];
  config: Record<string, unknown>;
};

export type Style = {
  font: string;
  themes: Record<"light" | "dark", Colours>;
  numbers: Record<string, Form>;
  missing: string;
  not_yet: string;
};

export type Manifest = {
  style: Style;
  form: number;
  index: string;
  name: Named;
  cadence: string;
  base_points: number;
  release: string | null;
  vintage: string | null;
  frequencies: Frequency[];
  nodes: TreeNode[];
  types: string[];
  ranked: string[];
  places: Place[];
  map: string[] | null;
};

type Topology = { objects: Record<string, unknown> };

export type MapFile = {
  width: number;
  height: number;
  layers: Record<string, Topology>;
  centres: Record<string, [number, number]>;
  inset: ({ x: number; y: number } & Named) | null;
  outside: Record<string, string>;
  source: Partial<Named>;
  approval: string | null;
};

type Cells = (number | null)[][];
type SeriesFile = {
  entities: number[];
  measures: Record<string, { decimals: number; rows: Cells }>;
  status: { usual: (string | null)[]; other: [number, number, string][] };
};
type ContributionFile = {
  entities: number[];
  decimals: number;
  measures: Record<string, Cells>;
  link: Cells | null;
};

/** One measure of one node: by entity, then period; NaN where there is no number. */
export type Values = { decimals: number; width: number; at: Map<number, number>; cells: Float64Array };

export type Series = {
  entities: number[];
  at: Map<number, number>;
  width: number;
  measures: Map<string, Values>;
  status: (entity: number, period: number) => string;
};

export type Contributions = { entities: number[]; parts: Map<string, Values>; link: Values | null };

const waiting = new Map<string, (content: unknown) => void>();
const loaded = new Map<string, Promise<unknown>>();

/** Called by every data file with its name and content. */
export function take(name: string, content: unknown): void {
  waiting.get(name)?.(content);
  waiting.delete(name);
}

function load<T>(name: string): Promise<T> {
  let promise = loaded.get(name);
  if (!promise) {
    promise = new Promise((resolve, reject) => {
      waiting.set(name, resolve);
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onload = () => script.remove();
      script.onerror = () => {
        loaded.delete(name);
        reject(new Error(`data/${name}.js`));
      };
      document.head.append(script);
    });
    loaded.set(name, promise);
  }
  return promise as Promise<T>;
}

export async function loadManifest(): Promise<Manifest> {
  const manifest = await load<Manifest>("manifest");
  const { style } = manifest;
  const font = getComputedStyle(document.documentElement).fontFamily;
  // Charts are lettered like the page around them.
  for (const theme of Object.values(style.themes)) {
    theme.config = JSON.parse(
      JSON.stringify(theme.config).replaceAll(JSON.stringify(style.font), JSON.stringify(font)),
    );
    // A chart is described as one picture by the element around it.
    for (const part of ["mark", "axis", "legend", "title"])
      theme.config[part] = { ...(theme.config[part] as object | undefined), aria: false };
  }
  return manifest;
}

export const loadMap = (): Promise<MapFile> => load<MapFile>("map");

const series = new Map<string, Series>();
const contributions = new Map<string, Contributions>();

/** What is there already, without waiting. */
export const seriesNow = (frequency: string, node: string): Series | undefined => series.get(`${frequency}/${node}`);
export const contributionsNow = (frequency: string, node: string): Contributions | undefined =>
  contributions.get(`${frequency}/${node}`);

export async function loadSeries(frequency: Frequency, node: string): Promise<Series> {
  const name = `${frequency.id}/${node}`;
  const made = series.get(name) ?? readSeries(await load<SeriesFile>(name), frequency.periods.length);
  series.set(name, made);
  return made;
}

export async function loadContributions(frequency: Frequency, node: string): Promise<Contributions> {
  const name = `${frequency.id}/${node}`;
  const file = await load<ContributionFile>(`contributions/${name}`);
  const width = frequency.periods.length;
  const at = positions(file.entities);
  const values = (rows: Cells): Values => ({
    decimals: file.decimals,
    width,
    at,
    cells: undone(rows, file.decimals, width),
  });
  const made = contributions.get(name) ?? {
    entities: file.entities,
    parts: new Map(Object.entries(file.measures).map(([part, rows]) => [part, values(rows)])),
    link: file.link && values(file.link),
  };
  contributions.set(name, made);
  return made;
}

function readSeries(file: SeriesFile, width: number): Series {
  const at = positions(file.entities);
  const measures = new Map(
    Object.entries(file.measures).map(([name, { decimals, rows }]) => [
      name,
      { decimals, width, at, cells: undone(rows, decimals, width) },
    ]),
  );
  const other = new Map(file.status.other.map(([entity, period, status]) => [entity * width + period, status]));
  return {
    entities: file.entities,
    at,
    width,
    measures,
    status: (entity, period) => other.get(entity * width + period) ?? file.status.usual[period] ?? "",
  };
}

const positions = (entities: number[]): Map<number, number> => new Map(entities.map((entity, at) => [entity, at]));

/** Running sums of the changes, in units of the last decimal. */
function undone(rows: Cells, decimals: number, width: number): Float64Array {
  const cells = new Float64Array(rows.length * width).fill(NaN);
  const unit = 10 ** decimals;
  rows.forEach((row, y) => {
    let last = 0;
    row.forEach((change, x) => {
      if (change === null) return;
      last += change;
      cells[y * width + x] = last / unit;
    });
  });
  return cells;
}

/** The value of an entity in a period; NaN where there is none. */
export function value(values: Values | null | undefined, entity: number, period: number): number {
  const row = values?.at.get(entity);
  return row === undefined || !values || period < 0 ? NaN : (values.cells[row * values.width + period] ?? NaN);
}
