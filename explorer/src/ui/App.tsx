// The page: what is chosen is kept in the address, what is chosen is shown.
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import {
  type Contributions,
  contributionsNow,
  loadContributions,
  loadManifest,
  loadMap,
  loadSeries,
  type MapFile,
  type Series,
  seriesNow,
} from "../data";
import { numbers, periodName } from "../format";
import { say as sayIn } from "../i18n";
import { calledInFull, frequencyOf, rows as rowsOf, type World, world as makeWorld } from "../model";
import { read, type State, write } from "../state";
import { Controls } from "./Controls";
import { Footer } from "./Footer";
import { Header } from "./Header";
import { Headline } from "./Headline";
import { NodeTree } from "./NodeTree";
import { Panels } from "./Panels";
import { Selection } from "./Selection";
import type { View } from "./view";

export type Change = (change: Partial<State>, silently?: boolean) => void;

export function App() {
  const [world, setWorld] = useState<World | null>(null);
  const [failed, setFailed] = useState("");
  useEffect(() => {
    loadManifest().then(
      (manifest) => setWorld(makeWorld(manifest)),
      (error: Error) => setFailed(error.message),
    );
  }, []);
  if (failed)
    return (
      <p class="trouble" role="alert">
        {sayIn("zh")("failed", { file: failed })} {sayIn("en")("failed", { file: failed })}
      </p>
    );
  return world && <Explorer world={world} />;
}

function Explorer({ world }: { world: World }) {
  const [state, change] = useAddress(world);
  const { manifest } = world;
  const say = useMemo(() => sayIn(state.lang), [state.lang]);
  const write = useMemo(() => numbers(manifest.style, state.lang), [state.lang]);
  const dark = useDark(state.theme);
  const colours = manifest.style.themes[dark ? "dark" : "light"];
  const frequency = frequencyOf(manifest, state);
  const [series, failed] = useLoaded<Series>(
    seriesNow(frequency.id, state.node),
    () => loadSeries(frequency, state.node),
    `${frequency.id}/${state.node}`,
  );
  const node = manifest.nodes.find((item) => item.id === state.node)!;
  const [parts] = useLoaded<Contributions>(
    contributionsNow(frequency.id, state.node),
    node.has.contributions?.includes(frequency.id) ? () => loadContributions(frequency, state.node) : null,
    `${frequency.id}/${state.node}`,
  );
  const [map, setMap] = useState<MapFile>();
  useEffect(() => {
    if (manifest.map) loadMap().then(setMap, () => undefined);
  }, []);
  const period = frequency.periods.indexOf(state.period);
  const shown = useMemo(
    () => (series ? rowsOf(series, world, state, period) : []),
    [series, state.type, state.within, state.q, state.period, state.lang],
  );
  useEffect(() => {
    const root = document.documentElement;
    root.lang = state.lang === "zh" ? "zh-CN" : "en";
    root.dataset.theme = dark ? "dark" : "light";
    for (const name of [
      "surface",
      "raised",
      "ink",
      "muted",
      "line",
      "grid",
      "accent",
      "focus",
      "rise",
      "fall",
    ] as const)
      root.style.setProperty(`--${name}`, colours[name]);
  }, [state.lang, dark]);
  useEffect(() => {
    document.title = `${calledInFull({ ...node, type: "", code: "" }, state.lang)} ${periodName(state.period, state.lang)} · ${manifest.name[state.lang]}`;
  }, [state.node, state.period, state.lang]);
  useKeys(state, frequency.periods, change);
  const view: View = {
    world,
    state,
    change,
    say,
    write,
    colours,
    frequency,
    period,
    node,
    series,
    parts,
    map,
    rows: shown,
  };
  return (
    <>
      <a
        class="skip"
        href="#table"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("table-title")?.focus();
        }}
      >
        {say("skip")}
      </a>
      <Header view={view} />
      <div class="page">
        <NodeTree view={view} />
        <main id="main">
          <Controls view={view} />
          <Headline view={view} />
          {failed ? (
            <p class="trouble" role="alert">
              {say("failed", { file: failed })}
            </p>
          ) : (
            <>
              <Selection view={view} />
              <Panels view={view} />
            </>
          )}
        </main>
      </div>
      <Footer view={view} />
    </>
  );
}

/** The state of the page, and how it is changed: a step in the history, or none for what is typed. */
function useAddress(world: World): [State, Change] {
  const { manifest } = world;
  const [state, setState] = useState(() => read(location.hash, manifest));
  useEffect(() => {
    history.replaceState(null, "", write(read(location.hash, manifest)));
    const moved = () => setState(read(location.hash, manifest));
    addEventListener("popstate", moved);
    addEventListener("hashchange", moved);
    return () => {
      removeEventListener("popstate", moved);
      removeEventListener("hashchange", moved);
    };
  }, []);
  const change = useCallback<Change>((wanted, silently = false) => {
    const next = { ...read(location.hash, manifest), ...wanted };
    // A period of another frequency, or a sort by a column that is gone, is put right by reading the address again.
    const address = write(next);
    if (address !== location.hash) history[silently ? "replaceState" : "pushState"](null, "", address);
    setState(read(address, manifest));
  }, []);
  return [state, change];
}

/** What has been loaded last; meanwhile the one before stays on the page. */
function useLoaded<T>(now: T | undefined, load: (() => Promise<T>) | null, key: string): [T | undefined, string] {
  const [last, setLast] = useState<{ key: string; value?: T; failed: string }>({ key: "", failed: "" });
  useEffect(() => {
    let current = true;
    if (!load) setLast({ key, failed: "" });
    else if (now) setLast({ key, value: now, failed: "" });
    else
      load().then(
        (value) => current && setLast({ key, value, failed: "" }),
        (error: Error) => current && setLast({ key, failed: error.message }),
      );
    return () => {
      current = false;
    };
  }, [key]);
  if (!load) return [undefined, ""];
  return [now ?? (last.key === key ? last.value : undefined), last.key === key ? last.failed : ""];
}

function useDark(theme: State["theme"]): boolean {
  const media = useMemo(() => matchMedia("(prefers-color-scheme: dark)"), []);
  const [system, setSystem] = useState(media.matches);
  useEffect(() => {
    const moved = () => setSystem(media.matches);
    media.addEventListener("change", moved);
    return () => media.removeEventListener("change", moved);
  }, []);
  return theme === "auto" ? system : theme === "dark";
}

function useKeys(state: State, periods: string[], change: Change): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const inField = (event.target as HTMLElement).closest("input:not([type=checkbox]), select, textarea");
      if (inField || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/") {
        event.preventDefault();
        document.getElementById("search")?.focus();
      } else if (event.key === "[" || event.key === "]") {
        const next = periods[periods.indexOf(state.period) + (event.key === "[" ? -1 : 1)];
        if (next) change({ period: next });
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [state.period, periods]);
}
