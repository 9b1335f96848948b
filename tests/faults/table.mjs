// The faults: what the virtual HSM does, and what must become of the occurrences that were to be signed meanwhile.
//
//   signed      the signature was released in spite of the fault
//   late        it came when the fault was lifted, and the same one is given again
//   given back  refused before the token signed: after the fault the same SAD signs
//   burned      nobody can know, or a wrong signature: never signed again under this SAD
//   not approved  the fault met the approval: no SAD was given, nothing was to be signed
//
// `outcomes` has one for each document. `fresh` cases begin with a SAM that was started for them. `operator` names why the SAM waits for its operator: that restart is designed and counted apart.
import { custodyModes } from '../feature/harness/custody.mjs';

const one = (name, outcome, ...plan) => ({ name, plan, outcomes: [outcome] });
const fresh = (fault) => ({ ...fault, fresh: true });
const batch = (name, outcomes, ...plan) => ({ name, plan, outcomes });

const begins = (outcome, code, calls = '1') => one(`C_SignInit ${calls} ${code}`, outcome, `C_SignInit ${calls} error-before ${code}`);
const before = (code) => one(`C_Sign fails before its effect, ${code}`, 'burned', `C_Sign 1 error-before ${code}`);
const after = (code) => one(`C_Sign signs and reports ${code}`, 'burned', `C_Sign 1 error-after ${code}`);

const inTheBeginning = [
  ...['CKR_SESSION_HANDLE_INVALID', 'CKR_SESSION_CLOSED', 'CKR_USER_NOT_LOGGED_IN', 'CKR_OPERATION_ACTIVE'].map((code) => begins('signed', code)),
  ...['CKR_GENERAL_ERROR', 'CKR_FUNCTION_FAILED', 'CKR_KEY_FUNCTION_NOT_PERMITTED', 'CKR_MECHANISM_INVALID', 'CKR_HOST_MEMORY', 'CKR_DEVICE_MEMORY', 'CKR_PIN_EXPIRED']
    .map((code) => begins('given back', code)),
  // The login still stands, so that logging in again would change nothing: refused, and given back.
  ...['CKR_KEY_HANDLE_INVALID', 'CKR_OBJECT_HANDLE_INVALID', 'CKR_DEVICE_ERROR', 'CKR_DEVICE_REMOVED', 'CKR_TOKEN_NOT_PRESENT', 'CKR_CRYPTOKI_NOT_INITIALIZED']
    .map((code) => begins('given back', code)),
  ...['CKR_DEVICE_ERROR', 'CKR_SESSION_HANDLE_INVALID', 'CKR_KEY_HANDLE_INVALID', 'CKR_GENERAL_ERROR'].map((code) => begins('given back', code, 'every')),
  // Codes that do not say whether anything was begun.
  ...['CKR_FUNCTION_CANCELED', '0x80000001'].map((code) => begins('burned', code)),
  one('C_SignInit begins and reports CKR_GENERAL_ERROR', 'given back', 'C_SignInit 1 error-after CKR_GENERAL_ERROR'),
  one('C_SignInit begins and reports CKR_SESSION_CLOSED', 'signed', 'C_SignInit 1 error-after CKR_SESSION_CLOSED'),
  one('session lost, CKR_SESSION_HANDLE_INVALID', 'signed', 'C_SignInit 1 lose-session CKR_SESSION_HANDLE_INVALID'),
  one('session lost, CKR_SESSION_CLOSED', 'signed', 'C_SignInit 1 lose-session CKR_SESSION_CLOSED'),
  one('every session lost', 'given back', 'C_SignInit every lose-session CKR_SESSION_CLOSED'),
  one('login lost', 'signed', 'C_SignInit 1 lose-login'),
  one('login lost each time', 'given back', 'C_SignInit every lose-login'),
  one('C_SignInit hangs', 'late', 'C_SignInit 1 hang'),
];

const whileItSigns = [
  ...['CKR_DEVICE_ERROR', 'CKR_GENERAL_ERROR', 'CKR_SESSION_HANDLE_INVALID', 'CKR_DEVICE_REMOVED', 'CKR_KEY_HANDLE_INVALID'].map(before),
  ...['CKR_DEVICE_ERROR', 'CKR_GENERAL_ERROR', 'CKR_SESSION_CLOSED', 'CKR_TOKEN_NOT_PRESENT', 'CKR_BUFFER_TOO_SMALL', 'CKR_OPERATION_NOT_INITIALIZED', 'CKR_FUNCTION_CANCELED',
    'CKR_HOST_MEMORY', 'CKR_USER_NOT_LOGGED_IN', '0x80000001'].map(after),
  one('session lost in C_Sign', 'burned', 'C_Sign 1 lose-session CKR_SESSION_HANDLE_INVALID'),
  one('login lost in C_Sign', 'burned', 'C_Sign 1 lose-login'),
  fresh(one('first bit of the signature flipped', 'burned', 'C_Sign 1 flip-bit 0')),
  fresh(one('a bit in the middle of the signature flipped', 'burned', 'C_Sign 1 flip-bit 300')),
  one('signature one byte short', 'burned', 'C_Sign 1 cut 1'),
  one('signature of no bytes', 'burned', 'C_Sign 1 cut 64'),
  one('C_Sign takes 300 ms', 'signed', 'C_Sign 1 delay 300'),
  one('C_Sign takes longer than call_seconds', 'signed', 'C_Sign 1 delay 1500'),
  one('C_Sign hangs, then signs', 'late', 'C_Sign 1 hang'),
  one('C_Sign hangs, then fails before its effect', 'burned', 'C_Sign 1 hang', 'C_Sign 1 error-before CKR_DEVICE_ERROR'),
  one('C_Sign hangs, signs and reports CKR_DEVICE_ERROR', 'burned', 'C_Sign 1 hang', 'C_Sign 1 error-after CKR_DEVICE_ERROR'),
];

const ofTheToken = [
  one('token removed', 'given back', 'token removed CKR_DEVICE_REMOVED'),
  one('token not present', 'given back', 'token removed CKR_TOKEN_NOT_PRESENT'),
  { ...one('token removed, asked four times', 'given back', 'token removed CKR_DEVICE_REMOVED'), attempts: 4 },
  one('token tampered', 'given back', 'token tampered'),
  { ...one('token tampered, asked four times', 'given back', 'token tampered'), attempts: 4 },
  one('keys zeroised', 'given back', 'token zeroised'),
  { ...one('keys zeroised, asked four times', 'given back', 'token zeroised'), attempts: 4 },
  one('PIN locked while the login stands', 'signed', 'token pin-locked'),
  one('PIN locked when the login is lost', 'given back', 'token pin-locked', 'C_SignInit 1 lose-login'),
  ...['C_Initialize', 'C_GetSlotList', 'C_GetTokenInfo', 'C_OpenSession', 'C_Login', 'C_FindObjectsInit', 'C_FindObjects', 'C_GetAttributeValue'].map(
    (name) => one(`login lost, and ${name} fails`, 'given back', 'C_SignInit 1 lose-login', `${name} every error-before CKR_DEVICE_ERROR`),
  ),
  one('session lost, and no other is to be had', 'given back', 'C_SignInit 1 lose-session CKR_SESSION_CLOSED', 'C_OpenSession every error-before CKR_SESSION_COUNT'),
  one('every call takes 100 ms', 'signed', '* every delay 100'),
];

/** The audit log signs its checkpoints with a key of the same token: while it cannot, nothing new is begun, and what was begun gets its outcome. */
const ofTheLog = [
  one('no checkpoint can be signed while the signer\'s signature is made', 'late', 'C_Sign@checkpoint every error-before CKR_DEVICE_ERROR', 'C_Sign 1 delay 1500'),
  one('no checkpoint can be signed, and the signature is in doubt', 'burned', 'C_Sign@checkpoint every error-before CKR_DEVICE_ERROR', 'C_Sign 1 delay 1500', 'C_Sign 1 error-after CKR_DEVICE_ERROR'),
];

const ofBatches = [
  batch('third of four: signs and reports CKR_DEVICE_ERROR', ['signed', 'signed', 'burned', 'given back'], 'C_Sign 3 error-after CKR_DEVICE_ERROR'),
  fresh(batch('second of four: a bit flipped', ['signed', 'burned', 'given back', 'given back'], 'C_Sign 2 flip-bit 9')),
  batch('second of four: refused before it began', ['signed', 'given back', 'given back', 'given back'], 'C_SignInit 2 error-before CKR_GENERAL_ERROR'),
  batch('third of four: session lost between C_SignInit and C_Sign', ['signed', 'signed', 'burned', 'given back'], 'C_Sign 3 lose-session CKR_SESSION_CLOSED'),
  { ...batch('eight at once, each asked twice: sessions lost', 8, 'C_SignInit 3-5 lose-session CKR_SESSION_CLOSED'), parallel: true },
  { ...batch('eight at once, each asked twice: two sign and report an error', 8, 'C_Sign 3-4 error-after CKR_DEVICE_ERROR'), parallel: true },
  { ...batch('eight at once, each asked twice: login lost', 8, 'C_SignInit 4 lose-login'), parallel: true },
  { ...batch('eight at once, each asked twice: token removed', 8, 'token removed CKR_DEVICE_REMOVED'), parallel: true },
];

const approval = (name, ...plan) => ({ ...one(`approval: ${name}`, 'not approved', ...plan), during: 'approval' });
const ofApprovals = [
  approval('C_DeriveKey fails', 'C_DeriveKey 1 error-before CKR_GENERAL_ERROR'),
  approval('the HMAC of the knowledge factor fails', 'C_Sign@pepper-verify 1 error-before CKR_GENERAL_ERROR'),
  approval('the signature of the SAD fails', 'C_Sign@sad 1 error-before CKR_DEVICE_ERROR'),
  approval('the token is removed', 'token removed CKR_TOKEN_NOT_PRESENT'),
  approval('the token is tampered with', 'token tampered'),
  fresh(approval('the signature of the SAD is wrong', 'C_Sign@sad 1 flip-bit 3')),
];

/** Refused for good until the operator has looked: what the SAM promises for these. */
const forTheOperator = [
  { ...one('wrong PIN at the next login', 'given back', 'C_SignInit 1 lose-login', 'C_Login every error-before CKR_PIN_INCORRECT'), operator: 'a wrong PIN is tried once' },
  { ...one('PIN locked at the next login', 'given back', 'C_SignInit 1 lose-login', 'C_Login every error-before CKR_PIN_LOCKED'), operator: 'a wrong PIN is tried once' },
  { ...one('keys zeroised when the login is lost', 'given back', 'token zeroised', 'C_SignInit 1 lose-login'), operator: 'a key that a new login does not find is not looked for again' },
  { ...one('self-test of the device failed', 'given back', 'C_SignInit 1 error-before CKR_FIPS_SELF_TEST_FAILED'), operator: 'a token that failed its self-test is condemned' },
  { ...fresh(batch('two wrong signatures', ['burned', 'burned'], 'C_Sign 1-2 flip-bit 5')), oneByOne: true, operator: 'two wrong signatures condemn the token' },
];

export const faults = [...inTheBeginning, ...whileItSigns, ...ofTheToken, ...ofTheLog, ...ofBatches, ...ofApprovals, ...forTheOperator];

/** What only wrapped custody has: the key is opened for each request, and goes with its session. */
const ofWrappedKeys = [
  ...['CKR_GENERAL_ERROR', 'CKR_DEVICE_ERROR', 'CKR_WRAPPED_KEY_INVALID', 'CKR_DEVICE_MEMORY', '0x80000001'].flatMap((code) => [
    one(`C_UnwrapKey of the keypass, ${code}`, 'given back', `C_UnwrapKey 1 error-before ${code}`),
    one(`C_UnwrapKey of the key, ${code}`, 'given back', `C_UnwrapKey 2 error-before ${code}`),
  ]),
  ...['CKR_SESSION_HANDLE_INVALID', 'CKR_SESSION_CLOSED', 'CKR_USER_NOT_LOGGED_IN'].map((code) => one(`C_UnwrapKey of the key, ${code}`, 'signed', `C_UnwrapKey 2 error-before ${code}`)),
  one('C_UnwrapKey unwraps the key and reports CKR_GENERAL_ERROR', 'given back', 'C_UnwrapKey 2 error-after CKR_GENERAL_ERROR'),
  one('C_UnwrapKey never works', 'given back', 'C_UnwrapKey every error-before CKR_GENERAL_ERROR'),
  one('session lost between keypass and key', 'signed', 'C_UnwrapKey 2 lose-session CKR_SESSION_CLOSED'),
  one('login lost between keypass and key', 'signed', 'C_UnwrapKey 2 lose-login'),
  one('login lost each time a key is unwrapped', 'given back', 'C_UnwrapKey every lose-login'),
  one('C_UnwrapKey hangs', 'late', 'C_UnwrapKey 1 hang'),
  one('C_UnwrapKey takes 300 ms', 'signed', 'C_UnwrapKey 1 delay 300'),
  one('C_DecryptInit fails', 'given back', 'C_DecryptInit 1 error-before CKR_GENERAL_ERROR'),
  one('C_Decrypt fails', 'given back', 'C_Decrypt 1 error-before CKR_DEVICE_ERROR'),
  one('C_GetAttributeValue of an unwrapped key fails', 'given back', 'C_GetAttributeValue every error-before CKR_DEVICE_ERROR'),
  one('C_DestroyObject of the keypass fails', 'signed', 'C_DestroyObject 1 error-before CKR_DEVICE_ERROR'),
  one('C_DestroyObject never works', 'signed', 'C_DestroyObject every error-before CKR_GENERAL_ERROR'),
  batch('four, and the key does not open', ['given back', 'given back', 'given back', 'given back'], 'C_UnwrapKey 2 error-before CKR_GENERAL_ERROR'),
  { ...batch('eight at once, each asked twice: some keys do not open', 8, 'C_UnwrapKey 3-6 error-before CKR_GENERAL_ERROR'), parallel: true },
  { ...batch('eight at once, each asked twice: sessions lost while keys open', 8, 'C_UnwrapKey 3-6 lose-session CKR_SESSION_CLOSED'), parallel: true },
  approval('the HMAC of the lock fails', 'C_Sign@pepper-lock 1 error-before CKR_GENERAL_ERROR'),
];

/** C_SignInit in a session that is gone: the key went with it and is not opened a second time, so that the reservation goes back. */
const goneWithItsSession = new Set([
  'C_SignInit 1 CKR_SESSION_HANDLE_INVALID', 'C_SignInit 1 CKR_SESSION_CLOSED', 'C_SignInit 1 CKR_USER_NOT_LOGGED_IN', 'C_SignInit 1 CKR_OPERATION_ACTIVE',
  'C_SignInit begins and reports CKR_SESSION_CLOSED', 'session lost, CKR_SESSION_HANDLE_INVALID', 'session lost, CKR_SESSION_CLOSED', 'login lost',
]);
/** The same fault in wrapped custody, where sessions, logins and key handles are needed when the key is unwrapped. */
function inWrapped(fault) {
  if (goneWithItsSession.has(fault.name)) return { ...fault, outcomes: ['given back'] };
  // A dozen calls for one signature: longer than the runner waits.
  if (fault.name === 'every call takes 100 ms') return { ...fault, outcomes: ['late'] };
  // The blob is opened first, with a key of the token.
  const instead = /^keys zeroised when/.test(fault.name) ? 'C_DecryptInit ' : /^(login lost, and|session lost, and no other|wrong PIN at|PIN locked (at|when))/.test(fault.name) ? 'C_UnwrapKey ' : undefined;
  return instead ? { ...fault, plan: fault.plan.map((line) => line.replace(/^C_SignInit /, instead)) } : fault;
}

/** How signers' keys are kept. Each mode runs the whole table with a key of its own. In wrapped custody the key is a session object, and `session` the CKA_ID by which a plan knows it. */
export const modes = custodyModes.map((mode) => (mode.name === 'wrapped' ? { ...mode, tokenKey: 'session', faults: [...faults.map(inWrapped), ...ofWrappedKeys] } : { ...mode, faults }));
