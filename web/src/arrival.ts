// What a page does first and all the time: it takes the handle out of the address, reads the site's word, and sees whether somebody is there.
import { readArrival, takeLeft, type Arrival } from './identity.ts';
import { parseSite, type Site } from './site.ts';

/** Without input for so long the page ends, with a warning before; milliseconds. */
export const idleEnd = 120000;
export const idleWarning = 90000;
/** The last seconds of a link are told. */
export const lastMinute = 60;

/** The handle is good for one exchange and for this page alone: nothing that looks at the address later finds it. */
export function takeHandle(): string {
  const handle = location.hash.slice(1);
  history.replaceState(null, '', location.pathname);
  return handle;
}

/** The same where signers come back from their identity provider, too. */
export function takeArrival(): Arrival {
  const { search, hash } = location;
  history.replaceState(null, '', location.pathname);
  return readArrival(search, hash, takeLeft());
}

export async function readSite(): Promise<Site> {
  const answer = await fetch('site.json', { cache: 'no-store', credentials: 'omit' });
  return parseSite(await answer.json());
}

/** Calls for whatever somebody does, also on the way back from another tab. */
export function onInput(seen: () => void): void {
  for (const event of ['keydown', 'pointerdown', 'pointermove', 'scroll', 'focus'] as const) {
    addEventListener(event, seen, { passive: true, capture: true });
  }
}
