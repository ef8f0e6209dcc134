// What every part of the page is given.
import type { Colours, Contributions, Frequency, MapFile, Series, TreeNode } from "../data";
import type { Numbers } from "../format";
import type { Say } from "../i18n";
import type { Row, World } from "../model";
import { MOST_SELECTED, type State } from "../state";
import type { Change } from "./App";

export type View = {
  world: World;
  state: State;
  change: Change;
  say: Say;
  write: Numbers;
  colours: Colours;
  frequency: Frequency;
  period: number;
  node: TreeNode;
  series: Series | undefined;
  parts: Contributions | undefined;
  map: MapFile | undefined;
  rows: Row[];
};

/** The selection with a place put in or taken out; unchanged when it is full. */
export function toggled(selected: string[], key: string): string[] {
  if (selected.includes(key)) return selected.filter((other) => other !== key);
  return selected.length < MOST_SELECTED ? [...selected, key] : selected;
}

/** Name of the file of a download, without its ending. */
export const fileName = ({ world, state }: View, what: string): string =>
  [world.manifest.index, world.manifest.release ?? "working", state.node, state.period, what]
    .join("_")
    .replaceAll(/[^\w.-]/g, "-");

/** Whether a status says that a number is not final, and what it says. */
export function flags(status: string, say: Say): string[] {
  const told: string[] = [];
  if (/\bprovisional\b/.test(status)) told.push(say("provisional"));
  if (/^M/.test(status)) told.push(say("withheld"));
  if (/^E/.test(status)) told.push(say("estimated"));
  if (/^P\b/.test(status)) told.push(say("standsIn"));
  if (/ C\b/.test(status)) told.push(say("confidential"));
  return told;
}
