// Finding a place by Chinese name, spelling in Latin letters, code, or the initials of its syllables.
import type { Place } from "./data";

const SYLLABLE =
  /(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?(?:iang|iong|uang|ueng|ang|eng|ing|ong|iao|ian|uai|uan|ai|ei|ao|ou|an|en|in|un|ia|ie|iu|ua|uo|ui|ue|er|a|o|e|i|u|v)/;
const whole = new Map<number, RegExp>();

/** `text` in lower case, without accents, apostrophes and spaces. */
export const plain = (text: string): string =>
  text
    .normalize("NFKD")
    .replace(/[\u0300-\u036f'’·\s-]/g, "")
    .toLowerCase();

/** First letters of the syllables: of each Chinese character's in a spelling, else of the words. */
export function initials(place: Place): string {
  const short = place.short ?? place.zh;
  const count = [...short].length;
  if (/^\p{Script=Han}+$/u.test(short) && count > 1 && count < 6) {
    if (!whole.has(count)) whole.set(count, new RegExp(`^${`(${SYLLABLE.source})`.repeat(count)}$`));
    const found = whole.get(count)!.exec(plain(place.en));
    if (found)
      return found
        .slice(1)
        .map((syllable) => syllable[0])
        .join("");
  }
  return place.en
    .split(/[\s-]+/)
    .map((word) => plain(word)[0] ?? "")
    .join("");
}

export type Needle = { starts: string[]; holds: string[] };

/** What a place is found by, made once. */
export function needle(place: Place): Needle {
  const names = [place.zh, place.en, place.short ?? "", ...(place.also ?? [])].map(plain).filter(Boolean);
  return { starts: [plain(place.code), initials(place)], holds: names };
}

export function matches(found: Needle, query: string): boolean {
  const text = plain(query);
  return (
    text === "" || found.starts.some((item) => item.startsWith(text)) || found.holds.some((item) => item.includes(text))
  );
}
