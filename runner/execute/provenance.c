// See provenance.h.
#include "runner/execute/provenance.h"

#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/version.h"

// ---- sources ----

void provenance_find(const char *spec_path, const char *const *command, size_t count, const char *home,
                     struct arena *arena, struct provenance_source *source) {
  char *full = path_canonical(arena, spec_path), *slash = strrchr(full, '/');
  if (slash) *slash = '\0';
  revision_find(slash && slash != full ? full : "/", home, arena, &source->spec);
  source->trainer = (struct revision){0};
  if (command) revision_of_command(command, count, home, arena, &source->trainer);
}

static bool check_clean(const struct revision *revision, const char *what, struct error *error) {
  static const char cause[] = "run: require_clean, or --require-clean, asks for committed sources";
  if (!revision->commit)
    return error_set(error, EXIT_USAGE_ERROR, "%s: the git revision of the folder of %s is not known: %s", cause, what,
                     revision->why ? revision->why : "git says nothing");
  return !revision->dirty ||
         error_set(
             error, EXIT_USAGE_ERROR,
             "%s: in the folder of %s, or in its repository, %s is not as in commit %.12s; commit it, or name it in "
             ".gitignore where it is a result",
             cause, what, revision->first, revision->commit);
}

bool provenance_check_clean(const struct provenance_source *source, bool custom, struct error *error) {
  return check_clean(&source->spec, "the spec", error) &&
         (!custom || check_clean(&source->trainer, "the trainer", error));
}

// ---- the machine ----

// What the processor calls itself: on x86 in words; elsewhere its architecture.
static const char *processor_name(struct arena *arena, const struct utsname *system) {
  struct error ignored = {0};
  const char *all = file_read(arena, "/proc/cpuinfo", NULL, &ignored);
  const char *line = all ? strstr(all, "model name") : NULL, *colon = line ? strchr(line, ':') : NULL;
  const char *name = system->machine;
  if (colon)
    name = arena_copy(arena, colon + 1 + strspn(colon + 1, " "), strcspn(colon + 1, "\n") - strspn(colon + 1, " "));
  return arena_format(arena, "%s, %d cores for us", name, cores_usable());
}

static void put_revision(struct json_writer *json, const char *name, const struct revision *revision,
                         struct arena *arena) {
  if (!revision->commit) return;
  json_key_string(json, arena_format(arena, "%s_revision", name), revision->commit);
  json_key_boolean(json, arena_format(arena, "%s_dirty", name), revision->dirty);
}

void provenance_machine_find(struct provenance_machine *machine, const struct provenance_source *source,
                             const struct meter *meter, struct arena *arena) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, false);
  struct utsname system;
  const char *driver = meter_driver(meter);
  if (uname(&system) != 0) memset(&system, 0, sizeof system);
  machine->source = *source;
  machine->processor = processor_name(arena, &system);
  machine->system =
      arena_format(arena, "isoloss %s, %s %s %s, glibc %s%s%s", ISOLOSS_VERSION, system.sysname, system.release,
                   system.machine, gnu_get_libc_version(), *driver ? ", NVIDIA driver " : "", driver);
  json_object_begin(&json);
  json_key_string(&json, "event", "begin");
  put_revision(&json, "spec", &source->spec, arena);
  put_revision(&json, "trainer", &source->trainer, arena);
  json_key_string(&json, "host", store_host(arena));
  json_key_string(&json, "processor", machine->processor);
  json_key_string(&json, "system", machine->system);
  machine->line = arena_string(arena, text_string(&text));  // open: the worker's own keys follow
  text_free(&text);
}

// ---- the environment ----

// Of names that end in '_' all that begin so.
static const char *const counting[] = {
    "OMP_",
    "GOMP_",
    "KMP_",
    "MKL_",
    "OPENBLAS_",
    "BLIS_",
    "DNNL_",
    "ONEDNN_",
    "CUDA_",
    "CUBLAS_",
    "CUDNN_",
    "NCCL_",
    "NVIDIA_",
    "TORCH_",
    "PYTORCH_",
    "XLA_",
    "JAX_",
    "TF_",
    "HIP_",
    "ROCR_",
    "MALLOC_",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "PYTHONHASHSEED",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "SLURM_JOB_ID",
    "SLURM_JOB_PARTITION",
    "SLURM_CPUS_PER_TASK",
    "SLURMD_NODENAME",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
};

static bool counts(const char *variable) {
  static const char *const secrets[] = {"TOKEN", "SECRET", "PASSWORD", "API_KEY"};
  const char *equals = strchr(variable, '=');
  size_t length = equals ? (size_t)(equals - variable) : 0;
  bool wanted = false;
  for (size_t i = 0; i < sizeof counting / sizeof *counting && length && !wanted; i++) {
    size_t own = strlen(counting[i]);
    bool family = counting[i][own - 1] == '_';
    wanted = strncmp(variable, counting[i], own) == 0 && (family ? length > own : length == own);
  }
  for (size_t i = 0; i < sizeof secrets / sizeof *secrets && wanted; i++) {
    const char *found = strstr(variable, secrets[i]);
    wanted = !found || found >= equals;
  }
  return wanted;
}

static int by_text(const void *left, const void *right) {
  return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static const char *environment_of(char *const *environment, struct arena *arena) {
  size_t count = 0, kept = 0;
  struct text text = {0};
  struct json_writer json = json_writer(&text, false);
  while (environment[count]) count++;
  const char **variables = arena_array(arena, count + 1, sizeof *variables);
  for (size_t i = 0; i < count; i++)
    if (counts(environment[i])) variables[kept++] = environment[i];
  qsort(variables, kept, sizeof *variables, by_text);
  json_object_begin(&json);
  for (size_t i = 0; i < kept; i++) {
    const char *equals = strchr(variables[i], '=');
    json_key_string(&json, arena_copy(arena, variables[i], (size_t)(equals - variables[i])), equals + 1);
  }
  json_object_end(&json);
  const char *words = arena_string(arena, text_string(&text));
  text_free(&text);
  return words;
}

// ---- writing ----

static bool append(const char *folder, struct text *line, struct arena *arena, struct error *error) {
  const char *path = path_join(arena, folder, "provenance.jsonl");
  text_char(line, '\n');
  int file = file_open_own(path, O_WRONLY | O_APPEND | O_CREAT, error);
  bool fine = file >= 0 && file_write_all(file, line->bytes, line->length);
  if (file >= 0 && !fine) error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", path);
  if (file >= 0) close(file);
  return fine;
}

static const char *gpus_of(const struct meter *meter, const char *visible, struct arena *arena) {
  size_t count;
  struct text names = {0};
  const char **words = text_split(arena, visible, ",", &count);
  for (size_t i = 0; i < count; i++) {
    int gpu = meter_gpu_find(meter, words[i]);
    text_format(&names, "%s%s", i ? ", " : "",
                gpu >= 0 && *meter_gpu_name(meter, (size_t)gpu) ? meter_gpu_name(meter, (size_t)gpu) : words[i]);
  }
  const char *kept = arena_string(arena, text_string(&names));
  text_free(&names);
  return kept;
}

void provenance_view_find(struct provenance_view *view, char *const *environment, const char *gpus,
                          const struct meter *meter, struct arena *arena) {
  view->environment = environment_of(environment, arena);
  view->gpu = gpus && *gpus ? gpus_of(meter, gpus, arena) : NULL;
}

bool provenance_begin(const char *folder, const struct provenance_machine *machine, const struct provenance_view *view,
                      struct error *error) {
  struct arena scratch = {0};
  struct text line = {0}, rest = {0};
  struct json_writer json = json_writer(&rest, false);
  json_object_begin(&json);
  json_key_number(&json, "time", floor(clock_wall()));
  if (view->gpu) json_key_string(&json, "gpu", view->gpu);
  json_key(&json, "environment");
  json_put_raw(&json, view->environment);
  json_object_end(&json);
  text_format(&line, "%s,%s", machine->line, text_string(&rest) + 1);  // both are parts of one object
  bool fine = append(folder, &line, &scratch, error);
  text_free(&rest);
  text_free(&line);
  arena_free(&scratch);
  return fine;
}

bool provenance_end(const char *folder, const struct provenance_share *share, const char *source, struct error *error) {
  struct arena scratch = {0};
  struct text line = {0};
  struct json_writer json = json_writer(&line, false);
  json_object_begin(&json);
  json_key_string(&json, "event", "end");
  json_key_number(&json, "time", floor(clock_wall()));
  json_key_number(&json, "machine_seconds", share->machine_seconds);
  if (isfinite(share->joules)) {
    json_key_number(&json, "joules", share->joules);
    json_key_number(&json, "joules_seconds", share->joules_seconds);
    json_key_string(&json, "joules_source", source);
  }
  json_object_end(&json);
  bool fine = append(folder, &line, &scratch, error);
  text_free(&line);
  arena_free(&scratch);
  return fine;
}

// ---- columns ----

// What the store keeps: names of columns, and of the keys in a file's lines.
enum fact {
  SPEC_REVISION,
  SPEC_DIRTY,
  TRAINER_REVISION,
  TRAINER_DIRTY,
  PROCESSOR,
  GPU,
  SYSTEM,
  ENVIRONMENT,
  MACHINE_SECONDS,
  JOULES,
  JOULES_SECONDS,
  JOULES_SOURCE,
  FACTS
};
static const char *const fact_names[FACTS] = {
    [SPEC_REVISION] = "spec_revision",
    [SPEC_DIRTY] = "spec_dirty",
    [TRAINER_REVISION] = "trainer_revision",
    [TRAINER_DIRTY] = "trainer_dirty",
    [PROCESSOR] = "processor",
    [GPU] = "gpu",
    [SYSTEM] = "system",
    [ENVIRONMENT] = "environment",
    [MACHINE_SECONDS] = "machine_seconds",
    [JOULES] = "joules",
    [JOULES_SECONDS] = "joules_seconds",
    [JOULES_SOURCE] = "joules_source",
};

// What is missing becomes NULL.
static bool put_facts(struct store *store, const char *id, const struct value values[FACTS], struct error *error) {
  struct store_field fields[FACTS];
  for (enum fact i = 0; i < FACTS; i++) fields[i] = (struct store_field){fact_names[i], values[i]};
  return store_run_update(store, id, fields, FACTS, error);
}

static void revision_facts(const struct revision *revision, struct value values[2]) {
  values[0] = store_text(revision->commit);
  values[1] = store_number(revision->commit ? revision->dirty : NAN);
}

bool provenance_put(struct store *store, const char *id, const struct provenance_machine *machine,
                    const struct provenance_view *view, const struct provenance_share *share, const char *source,
                    struct error *error) {
  bool read = isfinite(share->joules);
  struct value values[FACTS] = {
      [PROCESSOR] = store_text(machine->processor),
      [GPU] = store_text(view->gpu),
      [SYSTEM] = store_text(machine->system),
      [ENVIRONMENT] = store_text(view->environment),
      [MACHINE_SECONDS] = store_number(share->machine_seconds),
      [JOULES] = store_number(read ? share->joules : NAN),
      [JOULES_SECONDS] = store_number(read ? share->joules_seconds : NAN),
      [JOULES_SOURCE] = store_text(read ? source : NULL),
  };
  revision_facts(&machine->source.spec, &values[SPEC_REVISION]);
  revision_facts(&machine->source.trainer, &values[TRAINER_REVISION]);
  return put_facts(store, id, values, error);
}

// ---- reading ----

static struct value fact_value(const json_t *line, enum fact fact) {
  const json_t *said = json_object_get(line, fact_names[fact]);
  return json_is_boolean(said) ? store_number(json_is_true(said)) : store_text(json_string_value(said));
}

struct sums {
  double machine_seconds, joules, joules_seconds;
  bool ends, read;
};

static void add_end(struct sums *sums, const json_t *end) {
  sums->ends = true;
  sums->machine_seconds += json_number_value(json_object_get(end, "machine_seconds"));
  if (!json_is_number(json_object_get(end, "joules"))) return;
  sums->read = true;
  sums->joules += json_number_value(json_object_get(end, "joules"));
  sums->joules_seconds += json_number_value(json_object_get(end, "joules_seconds"));
}

bool provenance_ingest(struct store *store, const char *id, const char *folder, struct error *error) {
  struct arena scratch = {0};
  struct error ignored = {0};
  struct sums sums = {0};
  size_t length = 0;
  json_t *begin = NULL, *metered = NULL;
  const char *path = path_join(&scratch, folder, "provenance.jsonl");
  const char *text = file_exists(path) ? file_read(&scratch, path, &length, &ignored) : NULL, *end;
  for (const char *at = text; at && (end = strchr(at, '\n')); at = end + 1) {
    json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL);
    const char *event = json_string_value(json_object_get(line, "event"));
    json_t **kept = NULL;
    if (event && strcmp(event, "begin") == 0) kept = &begin;
    if (event && strcmp(event, "end") == 0) add_end(&sums, line);
    if (event && json_is_string(json_object_get(line, "joules_source"))) kept = &metered;
    if (kept) {
      json_decref(*kept);
      *kept = json_incref(line);
    }
    json_decref(line);
  }
  const json_t *variables = json_object_get(begin, "environment");
  char *environment = variables ? json_dumps(variables, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
  struct value values[FACTS] = {
      [ENVIRONMENT] = store_text(environment),
      [MACHINE_SECONDS] = store_number(sums.ends ? sums.machine_seconds : NAN),
      [JOULES] = store_number(sums.read ? sums.joules : NAN),
      [JOULES_SECONDS] = store_number(sums.read ? sums.joules_seconds : NAN),
      [JOULES_SOURCE] = fact_value(metered, JOULES_SOURCE),
  };
  for (enum fact i = SPEC_REVISION; i <= SYSTEM; i++) values[i] = fact_value(begin, i);
  bool fine = !begin || put_facts(store, id, values, error);
  free(environment);
  json_decref(begin);
  json_decref(metered);
  arena_free(&scratch);
  return fine;
}
