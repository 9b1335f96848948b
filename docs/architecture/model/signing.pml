/* Exactly-once signing as src/sam/sign/signing.cpp does it (TC-4, TC-5, TC-9, TC-14): one authorisation over D documents, N nodes on one
   database, TOKENS tokens that sign, refuse or leave their caller in doubt, a relay that sends every message again, storage that fails, and
   a crash between any two steps. docs/architecture/protocol-model.md says what it shows; tools/ci/model runs it.

   AHEAD marks what the code does not do yet: more than one node on one database, fail-over between tokens, the quorum that declares a node
   dead. Everything else is the code as built; the comment at a step names its function. */
#define N 2        /* AHEAD: nodes; the code runs one */
#define D 2        /* occurrences under one SAD */
#define TOKENS 2   /* AHEAD: tokens; the code has one */
#ifndef REQUESTS
#define REQUESTS 2 /* requests of the relay, each to any node */
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#define REFUSALS 1 /* definite refusals of a token */
#define FAILURES 1 /* failed commits and failed commit hooks */

/* A property has a name, printed where it breaks: tools/ci/model wants each shortcut to break the one that it was made for. */
#define HOLDS(name, condition) if :: (condition) -> skip :: else -> printf("broken: "); printf(name); printf("\n"); assert(false) fi

mtype = { absent, authorised, reserved, consumed, burned };  /* OccurrenceState */
mtype = { unclaimed, fresh, redelivered };                   /* Signing::Claim */
mtype = { untouched, made, definite, doubtful };             /* custody::VaultOutcome */

/* The database: table `occurrences` (state, version, owner = incarnation) and `open_reservations` (node + 1, 0 for no row). */
typedef Occurrence { mtype state = absent; byte version; byte owner; byte open };
Occurrence row[D];
bool nonce_used;               /* Factors::consume(…, "nonce", …) */

/* What only the observer knows. */
byte intents[D], outcomes[D], calls[D], released[D];
bool lost[D];                  /* burned after the quorum's declaration */
bool disturbed;                /* a crash, a refusal, a doubt, a failure or a declaration happened */
byte served, crashes, refusals, failures, incarnations, finished;

#define CRASH if :: crashes < CRASHES -> d_step { crashes++; disturbed = true }; goto down :: skip fi
/* Database::write: `nothing` when the commit failed, `stands` when it stands and a commit hook (the anchor) refused. */
#define WRITE_MAY_FAIL(nothing, stands) nothing = false; stands = false; \
  if :: failures < FAILURES -> failures++; disturbed = true; if :: nothing = true :: stands = true fi :: skip fi

inline burn(at) { row[at].state = burned; row[at].version++; row[at].open = 0; outcomes[at]++ }

inline call_token(at) {
  calls[at]++;
  HOLDS("signed once", calls[at] <= 1);
  HOLDS("intent before C_Sign", calls[at] <= intents[at]);
  HOLDS("a doubt stops the batch", !doubt)
}

inline release(at) {
  if
  :: claim[at] == fresh && result[at] == made ->
     HOLDS("recorded before release", row[at].state == consumed && outcomes[at] == intents[at]);
     HOLDS("no release by a stale incarnation", !lost[at] && row[at].owner == incarnation);
     released[at]++
  :: claim[at] == redelivered && result[at] == made ->
     HOLDS("recorded before release", row[at].state == consumed && calls[at] == 1);
     released[at]++
  :: else
  fi
}

/* Signing::reserve and claim_one: one transaction; a refusal rolls all of it back. Leaves `granted`. */
inline reserve() {
  granted = true; i = 0;
  do
  :: i < D ->
     if
     :: !asked[i] -> claim[i] = unclaimed
     :: asked[i] && row[i].state == authorised && row[i].open == 0 -> claim[i] = fresh; version[i] = row[i].version + 1
#ifdef REDELIVER_BY_SIGNING
     :: asked[i] && row[i].state == consumed -> claim[i] = fresh; version[i] = row[i].version + 1
#else
     :: asked[i] && row[i].state == consumed -> claim[i] = redelivered
#endif
     :: else -> claim[i] = unclaimed; granted = false
     fi;
     i++
  :: else -> break
  od;
  WRITE_MAY_FAIL(nothing, stands);
  i = 0;
  do
  :: i < D ->
     if
#ifdef PARTIAL_RESERVE
     :: claim[i] == fresh && !nothing ->
#else
     :: claim[i] == fresh && granted && !nothing ->
#endif
        row[i].state = reserved; row[i].version++; row[i].owner = incarnation; row[i].open = id + 1; mine[i] = true;
#ifndef INTENT_LATER
        intents[i]++
#endif
     :: else
     fi;
     i++
  :: else -> break
  od;
  HOLDS("all or none", granted || !(mine[0] || mine[1]));
  i = 0;
  if :: nothing || stands -> granted = false :: else fi
}

proctype Node(byte id) {
  byte i, incarnation, token;
  bool granted, nothing, stands, stopped, doubt, matches;
  bool asked[D], mine[D];
  byte version[D];
  mtype claim[D] = unclaimed, result[D] = untouched;
  goto start;

down: /* the process is gone, and what it held in memory with it */
start: /* Service::start, Core::incarnation: a new random id at each start */
  atomic {
  d_step {
    incarnations++; incarnation = incarnations;
    i = 0;
    do :: i < D -> asked[i] = false; mine[i] = false; version[i] = 0; claim[i] = unclaimed; result[i] = untouched; i++ :: else -> break od;
    i = 0; token = 0; granted = false; nothing = false; stands = false; stopped = false; doubt = false; matches = false;
#ifdef NONCE_IN_MEMORY
    nonce_used = false;
#endif
  }
  /* Signing::burn_open_reservations: one transaction for each reservation of this node */
  do
  :: i < D ->
     d_step {
       if
       :: row[i].open == id + 1 ->
#ifdef HAND_BACK_AT_START
          row[i].state = authorised; row[i].version++; row[i].open = 0; outcomes[i]++
#else
          burn(i)
#endif
       :: else
       fi;
       i++
     };
     CRASH
  :: else -> i = 0; break
  od
  };

serve:
  atomic {
  if
  :: served < REQUESTS -> served++
  :: goto leave
  fi;

  /* authorise (src/sam/authorise/authorise.cpp): the relay sends the SAP message, or sends it again; one transaction consumes the nonce and
     writes the authorisation with its occurrences */
  d_step {
    if
    :: !nonce_used ->
       nonce_used = true; i = 0;
       do :: i < D -> row[i].state = authorised; row[i].version = 1; row[i].owner = 0; row[i].open = 0; i++ :: else -> break od;
       i = 0
    :: else
    fi
  };
  CRASH
  };

  /* Verifier::verify: the request names a part of the authorised list */
  atomic {
  if :: asked[0] = true :: asked[1] = true :: d_step { asked[0] = true; asked[1] = true } fi;

#ifdef RESERVE_AFTER_SIGN
    granted = true; i = 0;
    do :: i < D -> if :: asked[i] && row[i].state == authorised -> claim[i] = fresh :: asked[i] && row[i].state != authorised -> granted = false :: else fi; i++
       :: else -> break od;
    i = 0;
#else
  reserve();
#endif
  if :: !granted -> goto refused :: else fi;
  CRASH
  };

  /* Signing::sign, the loop over the claims; custody's vault makes the call and verifies its answer */
  do
  :: atomic { i < D && !stopped ->
     if
     :: claim[i] == fresh ->
again:  if
        :: call_token(i); result[i] = made
        :: call_token(i); result[i] = doubtful; disturbed = true  /* it signed: the answer is lost, or does not verify */
        :: result[i] = doubtful; disturbed = true                 /* it did not sign, and nobody can tell */
        :: refusals < REFUSALS -> refusals++; result[i] = definite; disturbed = true
        fi;
        CRASH;
        /* AHEAD: fail-over. Another token is asked under the same reservation, after a definite refusal and never after a doubt. */
        if
        :: result[i] == definite && token + 1 < TOKENS -> token++; goto again
#ifdef FAIL_OVER_ON_DOUBT
        :: result[i] == doubtful && token + 1 < TOKENS -> token++; goto again
#endif
        :: else
        fi;
        d_step {
          if :: result[i] == doubtful -> doubt = true :: else fi;
#ifndef BATCH_GOES_ON
          if :: result[i] != made -> stopped = true :: else fi;
#endif
          i++; token = 0
        }
     :: claim[i] == redelivered -> result[i] = made; i++
     :: else -> i++
     fi }
  :: else -> i = 0; break
  od;

#ifdef RESERVE_AFTER_SIGN
  atomic { reserve() };
#endif
#ifdef EARLY_RELEASE
  atomic { release(0); release(1) };
#endif

  /* Signing::sign, the second transaction: every claim ends in one outcome; update_occurrence is conditional on the version that this
     incarnation wrote, and a row that does not match rolls the whole transaction back */
  atomic {
    matches = true;
#ifndef BLIND_OUTCOME
    do :: i < D -> if :: claim[i] == fresh && row[i].version != version[i] -> matches = false :: else fi; i++ :: else -> break od;
#endif
    i = 0;
    HOLDS("a live node keeps its reservation", matches || lost[0] || lost[1]);
    WRITE_MAY_FAIL(nothing, stands);
    do
    :: i < D ->
       if
       :: claim[i] == fresh && matches && !nothing ->
          if
          :: result[i] == made -> row[i].state = consumed; row[i].version++; row[i].open = 0; outcomes[i]++
#ifdef GIVE_BACK_ON_DOUBT
          :: result[i] == doubtful -> row[i].state = authorised; row[i].version++; row[i].open = 0; outcomes[i]++
#else
          :: result[i] == doubtful -> burn(i)
#endif
#ifdef UNTOUCHED_STAY
          :: result[i] == untouched
#else
          :: result[i] == untouched -> row[i].state = authorised; row[i].version++; row[i].owner = 0; row[i].open = 0; outcomes[i]++
#endif
          :: result[i] == definite -> row[i].state = authorised; row[i].version++; row[i].owner = 0; row[i].open = 0; outcomes[i]++
          fi;
#ifdef INTENT_LATER
          intents[i]++;
#endif
          HOLDS("one outcome for each intent", outcomes[i] <= intents[i]);
          HOLDS("a recorded batch leaves nothing reserved", row[i].open != id + 1)
       :: else
       fi;
       i++
    :: else -> i = 0; break
    od;
    if :: !matches || nothing || stands -> granted = false :: else fi;
    CRASH
  };

  /* Signing::sign: the answer goes out when the outcome is durable, and not otherwise */
#ifndef EARLY_RELEASE
#ifdef RELEASE_UNRECORDED
  atomic { release(0); release(1) };
#else
  atomic { if :: granted -> release(0); release(1) :: else fi };
#endif
#endif

refused:
  skip;
  d_step {
    i = 0;
    do :: i < D -> asked[i] = false; mine[i] = false; version[i] = 0; claim[i] = unclaimed; result[i] = untouched; i++ :: else -> break od;
    i = 0; token = 0; granted = false; nothing = false; stands = false; stopped = false; doubt = false; matches = false
  };
  goto serve;

leave: /* the node stops; its next start, which serves nothing here, burns what a failed write left open */
  skip;
  d_step {
    do :: i < D -> if :: row[i].open == id + 1 -> burn(i) :: else fi; i++ :: else -> i = 0; break od;
    finished++
  }
}

/* AHEAD: a quorum declares one node dead, which may be wrong: the node goes on and does not know. What it had open is burned, a row at a
   time; never handed back. The code has no such call: a reservation is burned by its own node alone. */
proctype Quorum() {
  byte dead, at;
  if
  :: goto over
  :: atomic { disturbed = true; if :: dead = 0 :: dead = 1 fi }
  fi;
  do
  :: at < D ->
     d_step {
       if
#ifdef TAKE_OVER_HANDS_BACK
       :: row[at].open == dead + 1 -> row[at].state = authorised; row[at].version++; row[at].open = 0; outcomes[at]++; lost[at] = true
#else
       :: row[at].open == dead + 1 -> burn(at); lost[at] = true
#endif
       :: else
       fi;
       at++
     }
  :: else -> break
  od;
over:
  finished++
}

#ifdef TIME_OUT_BURNS
/* The shortcut: somebody waited long enough and burns the reservation of a node that nobody declared dead. */
active proctype TimeOut() {
  if :: d_step { row[0].open != 0 -> burn(0) } :: skip fi
}
#endif

init {
  byte at;
  atomic { run Node(0); run Node(1); run Quorum() };
  finished == N + 1;
  d_step {
    do
    :: at < D ->
       HOLDS("every intent has its outcome at the end", row[at].state != reserved && row[at].open == 0 && intents[at] == outcomes[at]);
       HOLDS("an undisturbed request gets its signature", disturbed || intents[at] == 0 || released[at] > 0);
       at++
    :: else -> break
    od;
    at = 0
  }
}
