# shellcheck shell=bash
# Sourced by run.sh: one run at a time works on exp/. The lock is held by the process and by the job
# runners it started, so it is gone as soon as they are, whatever killed them; nothing has to be removed.
# Exports RECIPE_PID and RECIPE_PID_START, by which job runners notice that the recipe was killed.

# A run that run_folds.sh started works under the lock that it holds as descriptor 9.
if [ -n "${RECIPE_PID:-}" ] && [ "$(cat exp/.lock 2>/dev/null)" = "$RECIPE_PID" ] && flock -n 9 2>/dev/null; then
  return 0
fi

mkdir -p exp || {
  echo "ERROR (${0##*/}) cannot make exp/ in $PWD; is it writable?" >&2
  exit 1
}
{ exec 9>>exp/.lock; } 2>/dev/null || {
  echo "ERROR (${0##*/}) cannot write in $PWD/exp; is it writable, and the disk not full?" >&2
  exit 1
}
if ! flock -n 9; then
  holder=$(cat exp/.lock)
  if [ -n "$holder" ] && kill -0 "$holder" 2>/dev/null; then
    echo "ERROR (${0##*/}) another run (process $holder) works on exp/; wait for it, or stop it with: kill $holder" >&2
    exit 1
  fi
  echo "LOG (${0##*/}) the jobs of a run that was killed are ending" >&2
  flock -w 60 9 || {
    echo "ERROR (${0##*/}) jobs of an earlier run still work on exp/ after 60 seconds; see: fuser exp/.lock" >&2
    exit 1
  }
fi
echo $$ >exp/.lock
export RECIPE_PID=$$
if [ -r /proc/$$/stat ]; then
  RECIPE_PID_START=$(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f20)
  export RECIPE_PID_START
fi
