// The tree of indicators: arrows move, right and left open and close, Enter chooses.
import { useMemo, useRef, useState } from "preact/hooks";
import type { TreeNode } from "../data";
import { firstNode } from "../state";
import type { View } from "./view";

export function NodeTree({ view: { world, state, change, say, node } }: { view: View }) {
  const { nodes } = world.manifest;
  const [open, setOpen] = useState(() => new Set(nodes.filter((item) => !item.parent).map((item) => item.id)));
  const [unfolded, setUnfolded] = useState(false);
  const [at, setAt] = useState(state.node);
  const list = useRef<HTMLUListElement>(null);
  const children = useMemo(() => {
    const found = new Map<string | null, TreeNode[]>();
    for (const item of nodes) found.set(item.parent, [...(found.get(item.parent) ?? []), item]);
    // The tree that bears the index's name comes first.
    found
      .get(null)
      ?.sort((a, b) => Number(b.id === firstNode(world.manifest)) - Number(a.id === firstNode(world.manifest)));
    return found;
  }, [nodes]);
  const path = new Set<string>();
  for (let up: string | null | undefined = node.parent; up; up = nodes.find((item) => item.id === up)?.parent)
    path.add(up);
  const isOpen = (id: string) => open.has(id) || path.has(id);
  const visible: { item: TreeNode; level: number; place: number; of: number }[] = [];
  const walk = (parent: string | null, level: number) =>
    (children.get(parent) ?? []).forEach((item, place, all) => {
      visible.push({ item, level, place: place + 1, of: all.length });
      if (isOpen(item.id)) walk(item.id, level + 1);
    });
  walk(null, 1);
  const current = visible.some(({ item }) => item.id === at) ? at : visible[0]!.item.id;

  const go = (id: string | undefined) => {
    if (!id) return;
    setAt(id);
    queueMicrotask(() => list.current?.querySelector<HTMLElement>(`[data-node="${id}"]`)?.focus());
  };
  const fold = (id: string, wanted: boolean) =>
    setOpen((before) => {
      const next = new Set(before);
      wanted ? next.add(id) : next.delete(id);
      return next;
    });
  const choose = (id: string) => {
    setAt(id);
    setUnfolded(false);
    if (children.has(id)) fold(id, true);
    change({ node: id });
  };
  const pressed = (event: KeyboardEvent) => {
    const place = visible.findIndex(({ item }) => item.id === current);
    const { item } = visible[place]!;
    const steps: Record<string, () => void> = {
      ArrowDown: () => go(visible[place + 1]?.item.id),
      ArrowUp: () => go(visible[place - 1]?.item.id),
      Home: () => go(visible[0]!.item.id),
      End: () => go(visible.at(-1)!.item.id),
      ArrowRight: () =>
        children.has(item.id) && !isOpen(item.id) ? fold(item.id, true) : go(children.get(item.id)?.[0]?.id),
      ArrowLeft: () =>
        isOpen(item.id) && children.has(item.id) && !path.has(item.id)
          ? fold(item.id, false)
          : go(item.parent ?? undefined),
      Enter: () => choose(item.id),
      " ": () => choose(item.id),
    };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    step();
  };
  return (
    <nav class={`tree ${unfolded ? "unfolded" : ""}`} aria-label={say("indicators")}>
      <button type="button" class="unfold" aria-expanded={unfolded} onClick={() => setUnfolded(!unfolded)}>
        <span class="label">{say("indicator")}</span> <b>{node[state.lang]}</b>
      </button>
      <h2>{say("indicators")}</h2>
      <ul role="tree" aria-label={say("indicators")} ref={list} onKeyDown={pressed}>
        {visible.map(({ item, level, place, of }) => (
          <li
            key={item.id}
            role="treeitem"
            data-node={item.id}
            class={`level${level}`}
            aria-level={level}
            aria-posinset={place}
            aria-setsize={of}
            aria-selected={item.id === state.node}
            tabIndex={item.id === current ? 0 : -1}
            {...(children.has(item.id) ? { "aria-expanded": isOpen(item.id) } : {})}
            onClick={() => choose(item.id)}
          >
            <span
              class="twist"
              aria-hidden="true"
              onClick={(event) => {
                if (!children.has(item.id)) return;
                event.stopPropagation();
                fold(item.id, !isOpen(item.id));
              }}
            >
              {children.has(item.id) ? (isOpen(item.id) ? "▾" : "▸") : ""}
            </span>
            {item[state.lang]}
          </li>
        ))}
      </ul>
    </nav>
  );
}
