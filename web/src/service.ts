// /sic/v1/approvals (api/sic/README.md), and what its refusals mean to a signer.
export interface Opened {
  readonly ticket: string;
  readonly transaction: string;
  readonly sapStatement: string;
}

/** Why the service did not do it, in the few ways that differ for a signer. */
export type Reason =
  | 'link-used' | 'wrong-factor' | 'not-confirmed' | 'locked' | 'expired' | 'finished' | 'answered' | 'limit' | 'unavailable' | 'no-answer' | 'refused';

export class Refusal extends Error {
  readonly reason: Reason;

  constructor(reason: Reason) {
    super(reason);
    this.reason = reason;
  }
}

/** One request waits no longer than the SSA waits for the SAM, and some. */
const patience = 30000;

function reasonOf(status: number, body: unknown): Reason {
  const { error, error_description: told } = (body ?? {}) as { error?: unknown; error_description?: unknown };
  if (error === 'invalid_authentication_data') return 'wrong-factor';
  if (status === 401) return 'finished';
  if (status === 429) return 'limit';
  if (status >= 500) return 'unavailable';
  if (told === 'Credential locked') return 'locked';
  if (told === 'The transaction is expired') return 'expired';
  if (told === 'Invalid parameter ticket') return 'answered';
  if (told === 'Invalid parameter handle') return 'link-used';
  if (told === 'Invalid parameter state' || told === 'The identity provider did not confirm the sign-in') return 'not-confirmed';
  return 'refused';
}

export class Service {
  readonly #api: string;
  #bearer = '';

  constructor(api: string) {
    this.#api = api;
  }

  async #post(path: string, body: object): Promise<Record<string, unknown>> {
    let status: number;
    let told: unknown;
    try {
      const answer = await fetch(this.#api + path, {
        method: 'POST', mode: 'cors', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer', cache: 'no-store', signal: AbortSignal.timeout(patience),
        headers: { 'Content-Type': 'application/json', ...(this.#bearer ? { Authorization: `Bearer ${this.#bearer}` } : {}) },
        body: JSON.stringify(body),
      });
      status = answer.status;
      told = await answer.json();
    } catch {
      throw new Refusal('no-answer');
    }
    if (status !== 200) throw new Refusal(reasonOf(status, told));
    if (typeof told !== 'object' || told === null) throw new Refusal('refused');
    return told as Record<string, unknown>;
  }

  /** Exchanges the one-time handle; the bearer stays in this object. */
  async open(handle: string): Promise<Opened> {
    const { bearer, ticket, transaction, sapStatement } = await this.#post('/sic/v1/approvals', { handle }) as Partial<Record<keyof Opened | 'bearer', unknown>>;
    if (typeof bearer !== 'string' || typeof ticket !== 'string' || typeof transaction !== 'string' || typeof sapStatement !== 'string') throw new Refusal('refused');
    this.#bearer = bearer;
    return { ticket, transaction, sapStatement };
  }

  /** Where to go on; null when the application waits for the answer by itself. */
  approve(message: string): Promise<string | null> {
    return this.#decide('/sic/v1/approvals/messages', { message });
  }

  decline(): Promise<string | null> {
    return this.#decide('/sic/v1/approvals/refusals', {});
  }

  /** Where to sign in for this nonce. The bearer ends; the handle opens the approval again. */
  async beginLogin(nonce: string): Promise<{ address: string; handle: string }> {
    const { address, handle } = await this.#post('/sic/v1/approvals/logins', { nonce });
    if (typeof address !== 'string' || typeof handle !== 'string') throw new Refusal('refused');
    this.forget();
    return { address, handle };
  }

  /** The ID token for the code that came back; asked for once. */
  async finishLogin(login: { handle: string; state: string; code: string; issuer: string | undefined }): Promise<string> {
    const { idToken } = await this.#post('/sic/v1/approvals/logins/codes', login);
    if (typeof idToken !== 'string') throw new Refusal('refused');
    return idToken;
  }

  /** Exchanges the handle of *sign a document*: with which key, certificates and suite will be signed. */
  async begin(handle: string): Promise<{ credential: string; suite: string; certificates: readonly string[] }> {
    const { bearer, credentialID: credential, suite, certificates } = await this.#post('/sic/v1/documents/handles', { handle });
    if (typeof bearer !== 'string' || typeof credential !== 'string' || typeof suite !== 'string') throw new Refusal('refused');
    if (!Array.isArray(certificates) || certificates.length > 32 || !certificates.every((one) => typeof one === 'string')) throw new Refusal('refused');
    this.#bearer = bearer;
    return { credential, suite, certificates };
  }

  /** Opens the transaction for what is to be signed; another bearer takes the place of the first. */
  async openDocument(hash: string, label: string): Promise<Opened> {
    const { bearer, ticket, transaction, sapStatement } = await this.#post('/sic/v1/documents/openings', { hash, label });
    if (typeof bearer !== 'string' || typeof ticket !== 'string' || typeof transaction !== 'string' || typeof sapStatement !== 'string') throw new Refusal('refused');
    this.#bearer = bearer;
    return { ticket, transaction, sapStatement };
  }

  /** The signature, base64url. */
  async signDocument(message: string): Promise<string> {
    const { signature } = await this.#post('/sic/v1/documents/messages', { message });
    if (typeof signature !== 'string') throw new Refusal('refused');
    return signature;
  }

  /** From here on nobody can decide with what this page holds. */
  forget(): void {
    this.#bearer = '';
  }

  async #decide(path: string, body: object): Promise<string | null> {
    const { redirect } = await this.#post(path, body) as { redirect?: unknown };
    // A registered address is https, http to this machine, or a scheme of an application: never one that runs in this page.
    if (redirect === null) {
      this.forget();
      return null;
    }
    if (typeof redirect !== 'string' || !URL.canParse(redirect) || /^(?:javascript|data|blob|vbscript|about|file):/i.test(new URL(redirect).protocol)) throw new Refusal('refused');
    this.forget();
    return redirect;
  }
}
