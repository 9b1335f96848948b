/* One-time keys. AHEAD of the code as a whole: custody has resident keys alone. A key lives in one session of the token, signs in one request
   and is destroyed in every end: signed, refused, in doubt, timed out, or the process killed. TC-4, TC-5 hold for its occurrence as for any
   other (signing.pml); here only the key's life is modelled. tools/ci/model runs it. */
#define SESSIONS 2  /* sessions of the signer, each with a key of its own, at the same time */
#define REPEATS 2   /* how often the relay sends the request of one session */
#define CRASHES 1

#define HOLDS(name, condition) if :: (condition) -> skip :: else -> printf("broken: "); printf(name); printf("\n"); assert(false) fi

mtype = { absent, alive, destroyed };
mtype key[SESSIONS] = absent;  /* the token's session object */
bool session_open[SESSIONS];
bool used[SESSIONS];           /* durable: reserved with intent, or destroyed; never a second time */
bool ended[SESSIONS];
byte calls[SESSIONS], crashes;

inline destroy(s) { key[s] = (key[s] == alive -> destroyed : key[s]) }
/* The session closes, by the SAM or because its process is gone: the token destroys session objects with it. */
inline close_session(s) {
  session_open[s] = false;
#ifndef KEY_OUTLIVES_SESSION
  destroy(s)
#endif
}
/* A key that nobody destroyed by name must not be left to the closing of the session: sessions are pooled and stay open. */
inline end_of(s) { ended[s] = true; HOLDS("destroyed in every end", key[s] != alive) }

proctype Session(byte s) {
  byte sent;
  /* generate in a session of the token, CSR, certificate, consent */
  atomic { session_open[s] = true; key[s] = alive };
  if
  :: atomic { destroy(s); end_of(s); goto over }  /* the CA refuses, or the signer says no, or time runs out */
  :: skip
  fi;
send:
  sent++;
  /* {reservation, intent}: one durable transaction */
  atomic {
    if
#ifdef SIGNS_TWICE
    :: key[s] == alive -> used[s] = true
#else
    :: key[s] == alive && !used[s] -> used[s] = true
#endif
    :: else -> goto again
    fi
  };
  if
  :: atomic { crashes < CRASHES -> crashes++; goto crash }
  :: atomic {  /* signed, and its answer is known or not */
       HOLDS("no use without its session", session_open[s]);
       calls[s]++;
       HOLDS("one key signs once", calls[s] <= 1);
#ifdef KEY_KEPT_AFTER_SIGNATURE
       skip
#elif defined(SIGNS_TWICE)
       skip
#else
       destroy(s)
#endif
     }
  :: atomic {  /* the token refuses, definitely */
#ifdef KEY_KEPT_AFTER_REFUSAL
       skip
#else
       destroy(s)
#endif
     }
  :: atomic {  /* nobody can tell whether it signed */
#ifdef KEY_KEPT_AFTER_DOUBT
       skip
#else
       destroy(s)
#endif
     }
  fi;
again:
  if
  :: sent < REPEATS -> goto send
  :: atomic { end_of(s); goto over }
  fi;
crash: /* killed: the token closes the session; a later request finds no key */
  atomic { close_session(s); end_of(s) };
over:
  skip
}

init {
  byte s;
  atomic { run Session(0); run Session(1) };
  ended[0] && ended[1];
  d_step { do :: s < SESSIONS -> HOLDS("destroyed in every end", key[s] != alive); s++ :: else -> break od; s = 0 }
}
