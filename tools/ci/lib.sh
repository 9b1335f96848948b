# Shared by the scripts of this folder: jobs with times, counts of tests, one closing line.
# Sourced with the repository as the current folder.

results=${INTAGLIO_RESULTS:-build/results}
export INTAGLIO_RESULTS=$results

# ccache then hits in a clone at another path too.
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$PWD} CCACHE_NOHASHDIR=1
# The compiler says itself what it included: a miss then costs one pass over the source instead of two.
export CCACHE_DEPEND=1

# Two compilers at once fit a machine of 2 cores and 4 GB; more cores are used when there are more.
parallel=${INTAGLIO_JOBS:-$(nproc)}

start_results() {
  rm -rf "$results"
  mkdir -p "$results"
  : >"$results/counts"
  : >"$results/times"
  started=$SECONDS
}

# count NAME PASSED FAILED: adds to the closing line.
count() { mkdir -p "$results"; echo "$2 $3 $1" >>"$results/counts"; }

# job NAME COMMAND...: runs it, keeps its time and its verdict, goes on after a failure.
job() {
  local name=$1 begin=$SECONDS verdict=ok
  shift
  echo
  echo "== $name"
  if ! "$@"; then
    verdict=FAILED
    echo "== $name FAILED"
  fi
  echo "$name|$((SECONDS - begin))|$verdict" >>"$results/times"
}

# check NAME COMMAND...: one check is one test of the closing line.
check() {
  local name=$1
  shift
  if "$@"; then
    echo "ok $name"
    count "$name" 1 0
  else
    echo "not ok $name"
    count "$name" 0 1
    return 1
  fi
}

# The table of times, the closing line, and the end: 0 only when every job and every test passed, within the bound (minutes).
finish() {
  local bound=${1:-0} name seconds verdict bad=0 passed=0 failed=0 p f
  echo
  printf '%-44s %8s  %s\n' job seconds verdict
  while IFS='|' read -r name seconds verdict; do
    printf '%-44s %8d  %s\n' "$name" "$seconds" "$verdict"
    [ "$verdict" = ok ] || bad=1
  done <"$results/times"
  printf '%-44s %8d\n' "all together" $((SECONDS - started))
  while read -r p f name; do
    passed=$((passed + p))
    failed=$((failed + f))
  done <"$results/counts"
  if [ "$bound" -gt 0 ] && [ $((SECONDS - started)) -gt $((bound * 60)) ]; then
    echo "over $bound minutes"
    bad=1
  fi
  echo
  echo "$passed passed, $failed failed"
  [ $bad -eq 0 ] && [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
