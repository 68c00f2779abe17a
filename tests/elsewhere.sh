#!/usr/bin/env bash
# elsewhere.sh [pytest arguments]: the tests in strange surroundings, each kind once over the same tests.
#
#   tests/elsewhere.sh                                  all tests under each condition: hours
#   tests/elsewhere.sh tests/test_run.py tests/test_cli.py
#   CONDITIONS="home locale" tests/elsewhere.sh tests/test_run.py
#
# A copy of the checkout (what git would commit) is tested in a folder with a space and a letter
# that is not ASCII. PYTHON is the interpreter with the packages; JOBS is how many workers; BUSY
# is how many other processes compute meanwhile under the condition `load`.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
PYTHON=${PYTHON:-$root/.venv/bin/python}
JOBS=${JOBS:-2}
BUSY=${BUSY:-20}
CONDITIONS=${CONDITIONS:-plain random home nohome locale zone settings mlflow load}
place=$(mktemp -d)/"two words é"
copy="$place/check out"
mkdir -p "$copy"
trap 'chmod -R u+w "$place"; rm -rf "$(dirname "$place")"; kill $(jobs -p) 2>/dev/null' EXIT
(cd "$root" && git ls-files -co --exclude-standard -z | tar --null -T - -cf -) | tar -xf - -C "$copy"
git -C "$copy" init -q && git -C "$copy" add -A
git -C "$copy" -c user.name=x -c user.email=x@example.org commit -qm copy

home="$place/home"
mkdir -p "$home/.keras" "$home/.config/matplotlib" "$home/.jax"
echo '{"floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.1, "backend": "torch"}' \
    > "$home/.keras/keras.json"
echo 'backend: tkagg' > "$home/.config/matplotlib/matplotlibrc"
echo '[broken' > "$home/.gitconfig"
chmod -R a-w "$home"

tests() {  # NAME pytest-options -- environment
    local name=$1 options=$2
    shift 2
    echo "== $name"
    (cd "$copy" && env "$@" PYTHONPATH="$copy/src" "$PYTHON" -m pytest -q -n "$JOBS" --dist loadfile $options \
        -p no:cacheprovider "${arguments[@]}" 2>&1 | tail -n "${SHOWN:-6}") || failed="$failed '$name'"
}

arguments=("$@")
failed=
for condition in $CONDITIONS; do
    case $condition in
    plain) tests plain "-p no:randomly" LANG=C.UTF-8 ;;
    random)
        for seed in 1 2; do tests "random order $seed" "--randomly-seed=$seed" LANG=C.UTF-8; done ;;
    home) tests "a home folder that is read-only and sets much" "" HOME="$home" ;;
    nohome)
        tests "no home folder" "" -u HOME
        tests "a home folder that is missing" "" HOME=/nonexistent/home ;;
    locale)
        tests "LANG=C" "" -u LC_ALL -u LC_CTYPE LANG=C
        tests "LC_ALL=C" "" LC_ALL=C ;;
    zone) tests "TZ=Asia/Kathmandu" "" TZ=Asia/Kathmandu ;;
    settings)
        tests "settings of libraries and of the terminal" "" MPLBACKEND=module://nothing.there \
            KERAS_HOME="$home/.keras" KERAS_BACKEND=torch KERAS_FLOATX=float16 KERAS_MAX_EPOCHS=1 \
            JAX_ENABLE_X64=1 JAX_PLATFORMS=tpu JAX_DISABLE_JIT=1 JAX_DEBUG_NANS=1 \
            JAX_COMPILATION_CACHE_DIR=/nonexistent/cache XLA_FLAGS=--xla_nothing_of_this_name=1 \
            TF_CPP_MIN_LOG_LEVEL=0 PYTHONWARNINGS=error COLUMNS=20 LINES=3 NO_COLOR=1 FORCE_COLOR=1 \
            OMP_NUM_THREADS=nonsense XDG_CONFIG_HOME=/nonexistent/config ;;
    mlflow)
        tests "MLflow's variables" "" MLFLOW_TRACKING_URI=http://127.0.0.1:9 \
            MLFLOW_REGISTRY_URI=http://127.0.0.1:9 MLFLOW_RUN_ID=0123456789abcdef0123456789abcdef \
            MLFLOW_EXPERIMENT_NAME=other MLFLOW_EXPERIMENT_ID=77 MLFLOW_RUN_NAME=other \
            MLFLOW_TAGS='{"team": "other"}' MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=true \
            MLFLOW_HTTP_REQUEST_TIMEOUT=1 MLFLOW_TRACKING_USERNAME=nobody ;;
    load)
        for _ in $(seq "$BUSY"); do "$PYTHON" -c 'while True: pass' & done
        tests "$BUSY busy processes" "" LANG=C.UTF-8
        kill $(jobs -p) 2>/dev/null
        wait 2>/dev/null ;;
    *) echo "no condition $condition"; failed="$failed $condition" ;;
    esac
done
[ -z "$failed" ] || { echo "failed under:$failed"; exit 1; }
echo "passed under: $CONDITIONS"
