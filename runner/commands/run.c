// isoloss run: makes the set of finished runs equal the set in the spec.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/commands.h"
#include "runner/commands/run_slurm.h"
#include "runner/execute/coordinator.h"
#include "runner/execute/mps.h"
#include "runner/execute/provenance.h"
#include "runner/execute/ready.h"
#include "runner/execute/rows.h"
#include "runner/execute/selection.h"
#include "runner/fits/format_errors.h"
#include "runner/fits/unused.h"
#include "runner/live/follower.h"
#include "runner/live/notices.h"
#include "runner/plan/kept_blocks.h"
#include "runner/plan/prunings.h"
#include "runner/plan/validation.h"
#include "trainer/trainer.h"

struct run_options {
  struct spec_choices choices;
  struct option_list again;
  int64_t jobs, retries;
  const char *gpus, *per_gpu, *gpu_memory, *only, *memory, *executor;
  struct follower_wishes follower;
  bool mps, fail_fast, keep_going, retry_failed, wait, quiet, json, dry_run, follow, require_clean;
};

static bool print_json(const char *experiment, struct error *error) {
  struct store *store = store_open_home(STORE_READ, error);
  struct text text = {0};
  struct run_query query = {.experiment = experiment};
  struct store_rows *rows = store ? store_runs(store, &query, error) : NULL;
  bool fine = rows && rows_write_json(rows, NULL, 0, &text, error);
  store_rows_close(rows);
  store_close(store);
  if (fine) fwrite(text.bytes, 1, text.length, stdout);
  text_free(&text);
  return fine;
}

static void print_outcome(const struct coordinator_outcome *outcome, const struct spec *spec) {
  printf("%s: %zu run%s: %zu done", spec->name, outcome->total, outcome->total == 1 ? "" : "s", outcome->done);
  if (outcome->already)
    printf(" (%zu of them before)", outcome->already < outcome->done ? outcome->already : outcome->done);
  if (outcome->diverged) printf(", %zu diverged", outcome->diverged);
  if (outcome->failed) printf(", %zu failed", outcome->failed);
  if (outcome->killed) printf(", %zu stopped", outcome->killed);
  if (outcome->halved) printf(", %zu stopped by halving", outcome->halved);
  if (outcome->waiting) printf(", %zu wait at a rung of halving for others", outcome->waiting);
  if (outcome->pending) printf(", %zu pending", outcome->pending);
  if (outcome->blocked)
    printf(
        " (%zu of them follow%s a run that failed, diverged, was cancelled or stopped by halving, or has no checkpoint)",
        outcome->blocked, outcome->blocked == 1 ? "s" : "");
  if (outcome->paused) printf(", %zu paused", outcome->paused);
  if (outcome->cancelled) printf("; %zu cancelled and left out", outcome->cancelled);
  if (outcome->left_out)
    printf("; %zu other%s left out by --only", outcome->left_out, outcome->left_out == 1 ? "" : "s");
  printf("\n");
  if (outcome->paused)
    printf("paused runs: isoloss resume %s, then isoloss run %s continues them\n", spec->name, spec->call);
  if (outcome->cancelled) printf("cancelled runs: isoloss retry %s takes that back\n", spec->name);
  if (outcome->failed)
    printf("failed runs: isoloss runs %s --where 'state == \"failed\"'; isoloss run %s --retry-failed tries again\n",
           spec->name, spec->call);
  if (outcome->interrupted && outcome->done + outcome->diverged < outcome->total)
    printf("stopped; isoloss run %s continues\n", spec->call);
}

// What the experiment's runs have taken of machines, where that has a price or was measured.
static bool print_expenses(const struct plan *plan, FILE *out, struct error *error) {
  struct arena arena = {0};
  struct expenses expenses = {0};
  struct value name = store_text(plan->spec->name);
  struct store *store = store_open_home(STORE_READ, error);
  struct store_rows *rows =
      store ? store_select(store,
                           "SELECT r.machine_seconds, r.joules, r.state FROM experiment_runs e JOIN runs r ON r.id = "
                           "e.run WHERE e.experiment = ?1",
                           &name, 1, error)
            : NULL;
  while (rows && store_rows_next(rows, error)) {
    struct value seconds = store_rows_value(rows, 0), joules = store_rows_value(rows, 1);
    expenses_add(&expenses, seconds.kind == VALUE_NUMBER ? seconds.number : NAN,
                 joules.kind == VALUE_NUMBER ? joules.number : NAN,
                 run_state_has_result(run_state_parse(store_rows_value(rows, 2).text)));
  }
  store_rows_close(rows);
  store_close(store);
  const char *words = expenses_words(&expenses, &plan->terms, &arena);
  if (words) fprintf(out, "these runs took %s\n", words);
  arena_free(&arena);
  return !error->code;
}

// The revisions of spec and trainer; refuses what is not committed, where that is asked for.
static bool find_source(const struct plan *plan, const struct run_options *options, struct arena *arena,
                        struct provenance_source *source, struct error *error) {
  const struct spec_trainer *trainer = &plan->spec->trainer;
  provenance_find(plan->spec->path, trainer->node ? trainer->command : NULL, trainer->command_count,
                  isoloss_home(arena), arena, source);
  if (plan->terms.require_clean || options->require_clean)
    return provenance_check_clean(source, trainer->node != NULL, error);
  return true;
}

// The runs' formats get their errors as columns.
static bool measure_formats(struct error *error) {
  struct store *store = store_open_home(STORE_WRITE, error);
  bool fine = store && format_errors_measure(store, error);
  store_close(store);
  return fine;
}

// Axes that the trainer does not seem to use, to those who gave them.
static bool tell_unused(const struct spec *spec, struct error *error) {
  struct arena arena = {0};
  const char *told;
  if (!spec->trainer.node) return true;
  struct store *store = store_open_home(STORE_READ, error);
  bool fine = store && unused_axes(spec, store, &arena, &told, error);
  if (fine && told) notice_print("isoloss", "%s", told);
  store_close(store);
  arena_free(&arena);
  return fine;
}

// ---- GPUs ----

struct gpu_choice {
  struct gpu_list list;
  int64_t per_gpu;              // 0: auto
  struct spec_choices choices;  // with model.device=cuda in front: what the caller says himself comes later
};

// Also where nothing is left to be trained: a mistake in the call is told at once.
static bool check_memory(const struct run_options *options, struct error *error) {
  double bytes;
  return !options->memory || memory_size_parse(options->memory, &bytes) ||
         error_set(error, EXIT_USAGE_ERROR, "run: --memory '%s': bytes, such as 24G or 8192M", options->memory);
}

static bool read_gpus(const struct run_options *options, struct arena *arena, struct gpu_choice *choice,
                      struct error *error) {
  const struct option_list *given = &options->choices.set;
  struct option_list *set = &choice->choices.set;
  choice->choices.preset = options->choices.preset;
  set->items = arena_array(arena, given->count + 1, sizeof(char *));
  if (options->gpus) set->items[set->count++] = "model.device=cuda";
  for (size_t i = 0; i < given->count; i++) set->items[set->count++] = given->items[i];
  if (!options->gpus && (options->per_gpu || options->gpu_memory || options->mps))
    return error_set(error, EXIT_USAGE_ERROR, "run: --per-gpu, --gpu-memory and --mps need --gpus");
  if (!options->gpus) return true;
  if (options->per_gpu && strcmp(options->per_gpu, "auto") != 0 &&
      (!integer_parse(options->per_gpu, &choice->per_gpu) || choice->per_gpu < 1 || choice->per_gpu > 1000))
    return error_set(error, EXIT_USAGE_ERROR, "run: --per-gpu '%s': a number of runs, or auto", options->per_gpu);
  return gpu_list_read(arena, options->gpus, options->gpu_memory, getenv("CUDA_VISIBLE_DEVICES"), &choice->list, error);
}

// The result: the experiment's runs as JSON, or the outcome in words.
static void print_end(const struct run_options *options, const struct spec *spec,
                      const struct coordinator_outcome *outcome, enum exit_code code, struct error *error) {
  struct error reading = {0};
  bool wanted = !error->code || code == error->code;
  if (!options->json && !error->code)
    print_outcome(outcome, spec);
  else if (options->json && wanted && print_json(spec->name, &reading))
    error->told = NULL;  // the document is out
  else if (options->json && wanted && !error->code)
    error_take(error, &reading);
}

// What --only and --again mean: NULL and none without them.
static bool choose_runs(struct plan_set *set, const struct run_options *options, bool **chosen, const char ***again,
                        struct error *error) {
  if (options->only && !plan_set_choose(set, options->only, chosen, error)) return error_context(error, "--only");
  return plan_set_find(set, &options->again, *chosen, again, error) || error_context(error, "--again");
}

// What runs on the cores may take side by side: --memory, or what this machine has; 0: no bound. Refuses what cannot
// fit.
static bool bound_memory(const struct run_options *options, const struct plan *plan, const bool *chosen, double *bytes,
                         struct error *error) {
  const char *limit = "--memory";
  *bytes = 0;
  if (plan_on_gpu(plan)) return true;
  if (!options->memory || !memory_size_parse(options->memory, bytes)) *bytes = plan_memory_limit(plan, &limit);
  return plan_fits_memory(plan, chosen, *bytes, limit, error);
}

static enum exit_code submit(struct plan_set *set, const bool *chosen, const struct run_options *options,
                             struct error *error) {
  struct provenance_source source;
  if (!find_source(set->plan, options, &set->arena, &source, error)) return error->code;
  struct slurm_request request = {
      .set = set,
      .source = &source,
      .chosen = chosen,
      .options = options->choices.set,
      .home = isoloss_home(&set->arena),
      .retries = options->retries,
      .keep_going = options->keep_going,
      .retry_failed = options->retry_failed,
      .dry_run = options->dry_run,
      .follow = options->follow,
      .quiet = options->quiet,
  };
  if (!plan_verify_corpora(set->plan, error)) return EXIT_ENVIRONMENT;
  enum exit_code code = run_slurm(&request, options->json, error);
  if (options->dry_run) return code;
  if (!error->code && (!measure_formats(error) || !tell_unused(set->plan->spec, error))) code = error->code;
  if (!options->json && !error->code && !print_expenses(set->plan, stdout, error)) code = error->code;
  if (options->json && !error->code && print_json(set->plan->spec->name, error)) error->told = NULL;
  return code;
}

static enum exit_code run(const char *path, const struct run_options *options, struct error *error) {
  struct spec spec = {0};
  struct plan plan = {0};
  struct plan_set set = {0};
  struct arena arena = {0};
  struct coordinator_outcome outcome = {0};
  struct gpu_choice gpus = {0};
  struct provenance_source source = {0};
  bool *chosen = NULL;
  const char **again = NULL;
  enum exit_code code = EXIT_ENVIRONMENT;
  struct plan_options plan_options = {.prepare = true, .messages = options->quiet ? NULL : stderr};
  bool planned = false, spec_fine = check_memory(options, error) && read_gpus(options, &arena, &gpus, error) &&
                                    spec_open(&spec, path, &gpus.choices, error);
  if (!spec_fine) goto end;
  planned = true;
  if (!plan_open(&plan, &spec, &plan_options, error) || !plan_set_begin(&set, &plan, error)) goto end;
  if (!choose_runs(&set, options, &chosen, &again, error)) {
    code = error->code;
    goto end;
  }
  if (options->executor && strcmp(options->executor, "slurm") == 0) {
    code = submit(&set, chosen, options, error);
    goto end;
  }
  if (!run_refuses_slurms(&set, isoloss_home(&arena), error)) goto end;
  if (gpus.list.count > 0 && !plan_fits_gpus(&plan, chosen, &gpus.list, error)) goto end;
  bool finished = options->again.count == 0 && plan_finished(&plan, chosen);
  double memory = 0;
  if (!finished && !bound_memory(options, &plan, chosen, &memory, error)) goto end;
  if (!finished && !find_source(&plan, options, &arena, &source, error)) {
    code = error->code;
    goto end;
  }
  if (!finished && !plan_verify_corpora(&plan, error)) goto end;
  if (!finished && spec_trains_model(&spec)) plan_measure_speed(&plan);
  if (!options->quiet) {
    plan_print_validation(&plan, false, stderr);
    const char *coarse = plan_prunings_doubt(&plan, &arena);
    if (coarse) fprintf(stderr, "warning: %s\n", coarse);
    const char *no_blocks = plan_kept_blocks_doubt(&plan, &arena);
    if (no_blocks) fprintf(stderr, "warning: %s\n", no_blocks);
  }
  struct experiment_record experiment = {spec.name, spec.path, spec.source, spec.about};
  struct coordinator_set runs = {plan.count, &set, plan_set_describe, chosen};
  struct coordinator_options execute = {
      .home = isoloss_home(&arena),
      .experiment = &experiment,
      .source = &source,
      .command = spec.trainer.node ? spec.trainer.command : NULL,
      .command_count = spec.trainer.command_count,
      .jobs = options->jobs,
      .gpus = gpus.list,
      .per_gpu = gpus.per_gpu,
      .memory = memory,
      .retries = options->retries,
      .time_limit = spec.limits.time,
      .stall_limit = spec.limits.stall,
      .retry_stalled = spec.limits.retry_stalled,
      .halving = plan.halving,
      .fail_fast = options->fail_fast,
      .keep_going = options->keep_going,
      .retry_failed = options->retry_failed,
      .share_trunks = spec_shares_trunks(&spec),
      .again = again,
      .again_count = options->again.count,
      .wait = options->wait,
      .quiet = options->quiet,
      .messages = stderr,
  };
  struct follower follower;
  struct mps mps = {{0}};
  double begun = clock_seconds();
  bool serves = options->mps && !finished;
  if (serves && !mps_begin(&mps, &execute.gpus, execute.home, error)) goto end;
  if (follower_begin(&follower, &options->follower, spec.name, execute.home, error)) {
    code = coordinator_execute(&runs, &execute, &outcome, error);
    follower_end(&follower);
  } else {
    mps_end(&mps);
    goto end;
  }
  mps_end(&mps);
  if (!error->code && !measure_formats(error)) code = error->code;
  if (!error->code && !tell_unused(&spec, error)) code = error->code;
  print_end(options, &spec, &outcome, code, error);
  if (!options->json && !error->code && !print_expenses(&plan, stdout, error)) code = error->code;
  // Who calls again and again is told once.
  if (options->follower.notify && !(finished && !error->code))
    notice_end(options->follower.notify, spec.name, execute.home, error->code ? error->code : code, error->text,
               outcome.interrupted, clock_seconds() - begun);
end:
  plan_set_end(&set);
  if (planned) plan_free(&plan);
  spec_free(&spec);
  arena_free(&arena);
  return code;
}

static const char *const executors[] = {"local", "slurm", NULL};

// What goes with one executor alone.
static bool check_executor(const struct run_options *options, const struct command_line *line, struct error *error) {
  static const char *const locals[] = {"--jobs",  "--gpus", "--per-gpu",   "--gpu-memory",  "--mps",   "--memory",
                                       "--again", "--wait", "--fail-fast", "--tensorboard", "--notify"};
  char guess[160];
  bool slurm = options->executor && strcmp(options->executor, "slurm") == 0;
  if (options->executor && !slurm && strcmp(options->executor, "local") != 0)
    return error_set(error, EXIT_USAGE_ERROR, "run: --executor '%s': %s", options->executor,
                     nearest_name(options->executor, executors, 2)
                         ? did_you_mean(nearest_name(options->executor, executors, 2), guess)
                         : "local or slurm");
  if (!slurm && (options->dry_run || options->follow))
    return error_set(error, EXIT_USAGE_ERROR,
                     "run: --dry-run and --follow need --executor slurm (isoloss plan shows "
                     "what would be trained)");
  if (options->dry_run && options->follow)
    return error_set(error, EXIT_USAGE_ERROR, "run: --dry-run and --follow exclude each other");
  for (size_t i = 0; slurm && i < line->given_count; i++)
    for (size_t j = 0; j < sizeof locals / sizeof *locals; j++)
      if (strcmp(line->given[i].option, locals[j]) == 0)
        return error_set(error, EXIT_USAGE_ERROR,
                         "run: %s is for runs on this machine; what a job of Slurm's gets is in the spec, under "
                         "run: {slurm: ...}",
                         locals[j]);
  return true;
}

void command_run(struct command_line *line) {
  struct run_options a = {.retries = 2};
  const struct option options[] = {
      {"only", 0, OPTION_TEXT, &a.only, "WHERE", "only the runs for which this holds: 'N < 1e6 and seed == 1'"},
      {"again", 0, OPTION_LIST, &a.again, "RUN", "remove this run's results and train it anew (repeatable)"},
      {"jobs", 'j', OPTION_INTEGER, &a.jobs, "N", "runs side by side (default: as many as the cores hold)"},
      {"gpus", 0, OPTION_TEXT, &a.gpus, "LIST", "hand out these GPUs: 0,1,2,3, UUIDs, or all"},
      {"per-gpu", 0, OPTION_TEXT, &a.per_gpu, "auto|N", "runs on one GPU at a time (auto: as its memory holds)"},
      {"gpu-memory", 0, OPTION_TEXT, &a.gpu_memory, "BYTES",
       "memory of each GPU, such as 24G (default: what nvidia-smi says)"},
      {"mps", 0, OPTION_FLAG, &a.mps, NULL,
       "let the kernels of runs on one GPU overlap, by NVIDIA's Multi-Process Service (not with MIG)"},
      {"memory", 0, OPTION_TEXT, &a.memory, "BYTES",
       "what runs on the cores may take side by side, such as 24G (default: what this machine has)"},
      {"retries", 0, OPTION_INTEGER, &a.retries, "N", "times a crashed run is tried again (default 2)"},
      {"retry-failed", 0, OPTION_FLAG, &a.retry_failed, NULL, "try runs again that failed in an earlier call"},
      {"fail-fast", 0, OPTION_FLAG, &a.fail_fast, NULL, "stop at the first run that fails"},
      {"keep-going", 0, OPTION_FLAG, &a.keep_going, NULL, "go on even when the first runs all fail at once"},
      {"wait", 0, OPTION_FLAG, &a.wait, NULL, "wait for another isoloss run that is at work on the store"},
      {"executor", 0, OPTION_TEXT, &a.executor, "local|slurm",
       "who trains: this machine (the default), or Slurm's jobs", .choices = executors},
      {"dry-run", 'n', OPTION_FLAG, &a.dry_run, NULL, "with --executor slurm: only print the scripts"},
      {"follow", 0, OPTION_FLAG, &a.follow, NULL,
       "with --executor slurm: stay, collect and submit until nothing is left"},
      {"require-clean", 0, OPTION_FLAG, &a.require_clean, NULL,
       "train nothing unless the folders of spec and trainer are as they are committed to git"},
      {"tensorboard", 0, OPTION_TEXT, &a.follower.tensorboard, "FOLDER",
       "write the loss curves there for TensorBoard as they grow"},
      {"notify", 0, OPTION_TEXT, &a.follower.notify, "COMMAND",
       "call this at the end and when runs fail, with a JSON document on its input"},
      {"set", 0, OPTION_LIST, &a.choices.set, "PATH=VALUE", "give a field of base another value (repeatable)"},
      {"preset", 0, OPTION_TEXT, &a.choices.preset, "NAME", "with what this preset of the spec changes"},
      {"json", 0, OPTION_FLAG, &a.json, NULL, "print the experiment's runs as one JSON array at the end"},
      {"quiet", 'q', OPTION_FLAG, &a.quiet, NULL, "no progress, only warnings and failures"},
      {0}};
  const struct command_usage usage = {
      "isoloss run SPEC [options]",
      "Runs that are finished, in whichever experiment, are not trained again; calling it twice does nothing the second\n"
      "time. Ctrl-C stops cleanly (runs write a checkpoint first), a second one kills; a later call continues. Exit code 0\n"
      "when every run is done or diverged, 1 when some failed or were stopped, 3 when the environment is at fault. --only\n"
      "takes the conditions of isoloss runs --where; the runs that it leaves out stay in the experiment.",
      1, 1, "one spec"};
  if (!command_begin(line, &usage, options) || !check_executor(&a, line, &line->error)) return;
  bool jobs_given = false;
  for (size_t i = 0; i < line->given_count; i++) jobs_given |= strcmp(line->given[i].option, "--jobs") == 0;
  if (jobs_given && a.jobs == 0)
    error_set(&line->error, EXIT_USAGE_ERROR,
              "--jobs 0 would train nothing: give 1 or more, or leave it out for as many as the cores hold");
  else if (a.jobs < 0 || a.retries < 0)
    error_set(&line->error, EXIT_USAGE_ERROR, "--jobs and --retries cannot be negative");
  else
    line->code = run(line->arguments[0], &a, &line->error);
}
