import { periodName } from "../format";
import type { Lang } from "../data";
import type { Theme } from "../state";
import type { View } from "./view";

export function Header({ view: { world, state, change, say } }: { view: View }) {
  const { manifest } = world;
  const last = manifest.frequencies.at(-1)!.periods.at(-1)!;
  return (
    <header class="top">
      <div class="brand">
        <p class="title">
          {manifest.name[state.lang]} <span class="kind">{say("explorer")}</span>
        </p>
        <p class="release">
          {manifest.release ? (
            <>
              <b>
                {say("release")} {manifest.release}
              </b>{" "}
              · {say("released")} {manifest.vintage}
            </>
          ) : (
            <b>{say("working")}</b>
          )}
          {" · "}
          {say("upTo")} {periodName(last, state.lang)}
        </p>
      </div>
      <div class="switches">
        <div class="segments" role="group" aria-label={say("language")}>
          {(["zh", "en"] as Lang[]).map((lang) => (
            <button
              type="button"
              key={lang}
              aria-pressed={state.lang === lang}
              lang={lang}
              onClick={() => change({ lang })}
            >
              {lang === "zh" ? "中文" : "English"}
            </button>
          ))}
        </div>
        <div class="segments" role="group" aria-label={say("theme")}>
          {(["auto", "light", "dark"] as Theme[]).map((theme) => (
            <button type="button" key={theme} aria-pressed={state.theme === theme} onClick={() => change({ theme })}>
              {say(theme)}
            </button>
          ))}
        </div>
      </div>
    </header>
  );
}
