# The parts of `tests/run`: what each does, how large it is in which run, and in which order they come.
#
# What lives here: one function for each part, the sizes, the plans. What does not: how a part is run, timed and told of (`run`).
# A part ends with 0, with 77 after a line `skipped: WHY`, or with anything else: it failed. Time limits are several times
# what a part takes on an idle machine: they end what hangs, and judge nobody.

PARTS=(fmt lints tests unit screening layering supply compat build cli stories remedies demo two_cities python_client containers machines power full_disk
  attack kill_loop suspensions erasures partitions misfortune simulation fuzz guided bench seeded model denials)

# In the default run a part shows that the property holds under the commit's seed; the long run looks for the rare case.
if [ "$MODE" = long ]; then
  MISFORTUNE=(--seed "$HAVENLINK_SEED" --singles all --pairs 300) WORLDS=1000000 KILLS=150 KILL_ROUNDS=20 KILL_CYCLES=3 SUSPENSIONS=200 PARTITION_SECONDS=600 FUZZ=2000000 GUIDED=300 CUTS=300 BUGS=all BENCH=(--gates) ATTACK=(--seconds 8 --runs 3) SUSPENSION_LIMIT=(--limit-ms 1000) ERASURES=(--referrals 200 --kills 40)
else
  MISFORTUNE=(--seed 20261129 --singles all --pairs 300 --seconds 150) WORLDS=10000 KILLS=50 KILL_ROUNDS=1 KILL_CYCLES=1 SUSPENSIONS=3 PARTITION_SECONDS=40 FUZZ=20000 GUIDED=20 CUTS=60 BUGS=one BENCH=(--short) ATTACK=() SUSPENSION_LIMIT=() ERASURES=(--referrals 20)
fi

plan_quick() {
  start fmt
  part lints
  part tests
  await fmt
  part unit
  part screening
  part layering
  part supply
}

# What judges how long something took runs by itself.
plan_default() {
  [ "$MODE" = long ] && part build
  plan_quick
  part compat
  part cli
  part stories
  part remedies
  together demo two_cities python_client
  part containers
  part machines
  together power full_disk
  part fuzz
  part attack
  part kill_loop
  part suspensions
  part erasures
  part partitions
  part misfortune
  part simulation
  part bench
  part seeded
}

plan_long() {
  plan_default
  part model
  part guided
  part denials
}

# One selection, `--workspace`, for everything that is tested: another one would turn other features on, and compile anew.
tested() { cargo test --workspace --quiet "$@"; }

fmt() { cargo fmt --all --check; }
lints() { cargo clippy --workspace --all-targets --quiet -- -D warnings; }
# All targets: the binaries themselves beside the tests, of the same selection.
tests() { cargo build --workspace --all-targets --quiet && tested --no-run --lib --bins --tests; }
build() { cargo build --release --workspace --bins --quiet; }
unit() { tested --no-fail-fast --lib --bins --test manners -- --test-threads=4; }
# Sentences that others wrote and labelled: recall of each class with its misses, and what is refused without a cause.
screening() { tested --test screening -- --nocapture --test-threads=1; }
layering() { tested --test layering; }
# Licences, bans and sources are held by `layering`, which needs nothing; here by cargo-deny, and what is known against a
# dependency, where both are at hand.
supply() {
  cargo deny --version >/dev/null 2>&1 || { echo "skipped: needs cargo-deny; layering holds licences, bans and sources"; return 77; }
  cargo deny --offline check bans licenses sources || return
  ls "${CARGO_HOME:-$HOME/.cargo}"/advisory-db* >/dev/null 2>&1 || { echo "no advisory database here: advisories were not asked for"; return; }
  cargo deny --offline check advisories
}
# The rule of re-founding with more of everything, and the one question, and what may be shared about a person, in a million
# worlds each; what takes seconds of them stands among the unit tests.
model() { tested --lib -- --ignored more_of_everything million_worlds --nocapture; }
# 10,000 pairs of answers about what is another's and about nothing.
denials() { tested --test stories -- --ignored ten_thousand_pairs --nocapture; }
# Golden files of everything that is frozen or stored.
compat() { tested --test compat; }
# Stories say themselves what this machine cannot do, and go on.
cli() { tested --test cli -- --test-threads=2; }
stories() { tested --test stories -- --test-threads=2; }
# Each remedy of the catalogue, run as it was told.
remedies() { tested --test remedies -- --test-threads=2; }

demo() { timeout 600 "$HAVENLINK_BIN_DIR/havenlink" demo --exit; }

# What tests in Python import, in a folder of its own.
python_packages() {
  local venv="$TARGET/python"
  if ! cmp -s tests/python/requirements.txt "$venv/requirements.txt"; then
    python3 -m venv "$venv" || { rm -rf "$venv"; echo "skipped: needs python3 with venv"; return 77; }
    "$venv/bin/pip" install -q -r tests/python/requirements.txt || { rm -rf "$venv"; echo "skipped: what tests/python/requirements.txt names cannot be installed"; return 77; }
    cp tests/python/requirements.txt "$venv/requirements.txt"
  fi
}

# Image, compose file and manifests of deploy/container: by the published schemas, by the package's sandbox, and built where an engine runs.
containers() {
  python_packages || return
  timeout 1800 "$TARGET/python/bin/python" tests/containers/main.py
}

# A stock gRPC library of another language, with nothing but proto/.
python_client() {
  local venv="$TARGET/python" dir
  python_packages || return
  "$venv/bin/python" tests/python/pseudonyms.py || return
  timeout 600 "$venv/bin/python" tests/python/over_tls.py proto "$HAVENLINK_BIN_DIR" || return
  dir=$(mktemp -d) || return 1
  "$HAVENLINK_BIN_DIR/havenlink" demo --dir "$dir" >"$dir/demo.log" 2>&1 &
  local demo_pid=$! code=1
  for _ in $(seq 1 2400); do
    grep -q "Try next" "$dir/demo.log" && break
    kill -0 "$demo_pid" 2>/dev/null || break
    read -r -t 0.1 <> <(:) || true
  done
  if grep -q "Try next" "$dir/demo.log"; then
    # The last one ends the agreements.
    timeout 120 "$venv/bin/python" tests/python/reflection.py proto "$dir/fr-strasbourg/run" &&
      timeout 600 "$venv/bin/python" tests/python/stranger.py proto "$dir/fr-strasbourg/run" "$dir/de-kehl/run" &&
      timeout 900 "$venv/bin/python" tests/python/consumer.py proto "$dir/fr-strasbourg/run" "$dir/de-kehl/run" &&
      timeout 300 "$venv/bin/python" tests/python/agreement_to_share.py proto "$dir/fr-strasbourg/run" "$dir/de-kehl/run" &&
      timeout 600 "$venv/bin/python" tests/python/referral.py proto "$dir/fr-strasbourg/run" "$dir/de-kehl/run" &&
      timeout 900 "$venv/bin/python" tests/python/bad_input.py proto "$dir/fr-strasbourg/run" "$dir/de-kehl/run"
    code=$?
  else
    echo "the demo did not come up:"; tail -40 "$dir/demo.log"
  fi
  kill -INT "$demo_pid" 2>/dev/null; wait "$demo_pid" 2>/dev/null
  [ "$code" = 0 ] && rm -rf "$dir"
  return "$code"
}

# The walk-through of deploy/TWO-CITIES.md, command by command, in two network namespaces.
two_cities() { timeout 600 python3 tests/federation/two_cities.py "$HAVENLINK_BIN_DIR"; }

# The package on Debian machines with a systemd of their own, by the guides: the first run gets Debian, later ones have it.
machines() { timeout 1200 python3 tests/machines/main.py "$HAVENLINK_BIN_DIR" "$TARGET/machines"; }

# Random SIGKILLs of real nodes while alerts flow, members are suspended and restored, agreements made and ended.
kill_loop() {
  local round
  for round in $(seq 0 $((KILL_ROUNDS - 1))); do
    timeout 600 "$HAVENLINK_BIN_DIR/havenlink-kill-loop" --binary "$HAVENLINK_BIN_DIR/havenlink" \
      --kills "$KILLS" --cycles "$KILL_CYCLES" --seed $((HAVENLINK_SEED + round)) || return
  done
}

# Hostile bytes into everything that reads what others made: so many for each target.
fuzz() { "$HAVENLINK_BIN_DIR/havenlink-fuzz" --inputs "$FUZZ" --seed "$HAVENLINK_SEED" --found "$TARGET/fuzz"; }

# The same targets, guided by what an input reaches: libFuzzer, on an instrumented build of its own. It begins with the corpus;
# what it finds beyond stays in its folder, and `havenlink-fuzz --keep` takes the smallest of it into the tree.
guided() {
  command -v c++ >/dev/null || { echo "skipped: needs a C++ compiler"; return 77; }
  local host folder="$TARGET/fuzz/guided" flags target
  host=$(rustc -vV | sed -n 's/^host: //p')
  flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
  flags="$flags -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
  RUSTFLAGS="$flags" cargo build --release --quiet -p havenlink-tests --features guided --bin havenlink-fuzz-guided \
    --target "$host" --target-dir "$TARGET/guided" || return
  "$HAVENLINK_BIN_DIR/havenlink-fuzz" --lay-out "$folder" || return
  for target in "$folder"/*/; do
    HAVENLINK_FUZZ_TARGET=$(basename "$target") "$TARGET/guided/$host/release/havenlink-fuzz-guided" "$target" \
      -max_total_time="$GUIDED" -max_len=65536 -rss_limit_mb=512 -timeout=10 -seed="$((HAVENLINK_SEED % 4294967296))" \
      -artifact_prefix="$TARGET/fuzz/" -print_final_stats=1 2>&1 |
      awk -v name="$(basename "$target")" '/^stat::|panicked|ERROR|Test unit/ { print name ": " $0; if (!/^stat::/) bad = 1 } END { exit bad }' || return
  done
}

# A hostile member, a hostile steward, a stranger and a local user beside honest traffic: what each costs, and a gate for it.
attack() {
  timeout 7200 "$HAVENLINK_BIN_DIR/havenlink-attack" --binary "$HAVENLINK_BIN_DIR/havenlink" "${ATTACK[@]}"
}

# How long a suspended member still gets through: idle, pooled, streaming, quorum down. The product's limit of a second is
# asked for on a machine of its own, in the long run.
suspensions() {
  timeout $((180 + SUSPENSIONS * 60)) "$HAVENLINK_BIN_DIR/havenlink-suspensions" --binary "$HAVENLINK_BIN_DIR/havenlink" \
    --runs "$SUSPENSIONS" --targets $((SUSPENSIONS < 6 ? SUSPENSIONS : 6)) "${SUSPENSION_LIMIT[@]}"
}

# Persons are referred, withdraw, and are in no file of any node any more once their partners have said so.
erasures() {
  timeout 900 "$HAVENLINK_BIN_DIR/havenlink-erasures" --binary "$HAVENLINK_BIN_DIR/havenlink" --seed "$HAVENLINK_SEED" "${ERASURES[@]}"
}

# Stewards in network namespaces of their own: parted, killed, stopped, while authorities write and read.
partitions() {
  local longest=30
  [ "$PARTITION_SECONDS" -lt 120 ] && longest=6
  timeout $((380 + PARTITION_SECONDS)) "$HAVENLINK_BIN_DIR/havenlink-partitions" --binary "$HAVENLINK_BIN_DIR/havenlink" \
    --seconds "$PARTITION_SECONDS" --longest "$longest" --seed "$HAVENLINK_SEED"
}

# Bad days of real nodes, healed by what the programs print. In the default run as many as are begun in time, in an order that
# stays: what is red is then the change. The long run plays all of them, and other pairs with each commit.
misfortune() {
  python3 tests/misfortune/judged.py || return 1
  python3 tests/misfortune/main.py "$HAVENLINK_BIN_DIR" "${MISFORTUNE[@]}"
}

# The pure cores in worlds of crashes, loss, reordering, partitions and wrong clocks. Which seed broke an invariant is printed.
simulation() {
  timeout $((300 + WORLDS / 50)) "$HAVENLINK_BIN_DIR/havenlink-simulation" --worlds "$WORLDS" --seed "$HAVENLINK_SEED"
}

# Figures of a shared machine are a finding; the long run, on a machine of its own, holds them to the gates.
bench() { "$HAVENLINK_BIN_DIR/havenlink-bench" --json "$TARGET/bench.json" "${BENCH[@]}"; }

# Forced ext4 shutdown, and a full ext4, on small loop images.
power() {
  timeout $((100 + CUTS * 4)) python3 tests/faults/power_cuts.py "$HAVENLINK_BIN_DIR/durable-writer" "$CUTS" --seed "$HAVENLINK_SEED"
}
full_disk() { timeout 480 python3 tests/faults/full_disk.py "$HAVENLINK_BIN_DIR/durable-writer"; }

# The same tests against bugs that they must find. Every commit proves the harness with one of them, which one its hash says.
seeded() {
  local names=()
  if [ "$BUGS" = one ]; then
    mapfile -t names < <(cd tests/seeded_bugs && printf '%s\n' *.patch | sed 's/\.patch$//')
    names=("${names[HAVENLINK_SEED % ${#names[@]}]}")
  fi
  tests/seeded_bugs/run "${names[@]}"
}
