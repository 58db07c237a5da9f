// isoloss design: what intervals a spec's fits will give, before it is run.
#include "runner/fits/design.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include "base/signals.h"
#include "runner/commands.h"
#include "runner/terminal/progress.h"

// ---- progress ----

static volatile sig_atomic_t interrupted;
static void interrupt(int signal) { interrupted = 1; }

struct watch {
  double started, shown;
  bool terminal, drawn;
};

static void erase(struct watch *watch) {
  if (watch->drawn) fprintf(stderr, "\r\033[K");
  watch->drawn = false;
}

static void show_progress(void *context, const char *fit, int done, int repeats) {
  struct watch *watch = context;
  if (done == 0) {  // the next one
    erase(watch);
    *watch = (struct watch){.started = clock_seconds(), .terminal = watch->terminal};
  }
  double now = clock_seconds(), passed = now - watch->started;
  char left[32];
  bool due = now - watch->shown > (watch->terminal ? 0.3 : 20) && passed > 2;
  if (due && done < repeats) {
    seconds_human(passed / done * (repeats - done), left);
    fprintf(stderr, "%s%s: %d of %d simulated fits, %s left%s", watch->terminal ? "\r\033[K" : "", fit, done, repeats,
            left, watch->terminal ? "" : "\n");
    fflush(stderr);
    watch->shown = now;
    watch->drawn = watch->terminal;
  }
}

// ---- the command ----

static bool check_arguments(const struct design_request *a, struct error *error) {
  if (a->repeats < 2 || a->repeats > 100000)
    return error_set(error, EXIT_USAGE_ERROR, "design: --repeats takes 2 to 100000 simulated fits (or --quick)");
  if (a->noise != 0 && !(a->noise > 0 && a->noise < 1))
    return error_set(
        error, EXIT_USAGE_ERROR,
        "design: --noise is the standard deviation of ln(loss) between seeds, above 0 and below 1 (0.003)");
  if (a->bootstrap < -1 || a->bootstrap > 10000 || a->starts < 0 || a->starts > 1000000 || a->threads < 0 ||
      a->threads > 256)
    return error_set(error, EXIT_USAGE_ERROR,
                     "design: --bootstrap takes 0 to 10000 resamples, --starts and --threads are not negative");
  return next_request_check(&a->next, a->target, error);
}

static void design(struct design_request *request, struct command_line *line, bool json) {
  struct designs designs;
  struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESETHAND};
  struct watch watch = {.terminal = isatty(STDERR_FILENO)};
  if (!check_arguments(request, &line->error)) return;
  request->progress = show_progress;
  request->progress_context = &watch;
  signal_handle(SIGINT, &action);
  bool fine = designs_make(&designs, request, line->arguments, line->count, &line->error);
  erase(&watch);
  if (fine && json) {
    struct text text = {0};
    struct json_writer writer = json_writer(&text, false);
    designs_json(&designs, &writer);
    printf("%s\n", text_string(&text));
    text_free(&text);
  } else if (fine) {
    designs_print(&designs, stdout);
  }
  designs_free(&designs);
}

void command_design(struct command_line *line) {
  struct design_request a = {.repeats = 200, .bootstrap = -1, .next = {.limit = -1}, .stop_asked = &interrupted};
  bool json = false;
  const struct option options[] = {
      {"law", 'l', OPTION_TEXT, &a.law, "NAME", "only fits of this law or name, or this law where no entry has it"},
      {"assume", 'a', OPTION_TEXT, &a.assume, "LIST|FIT",
       "the truth: \"E=1.69,A=406.4,...\", a stored fit, a .json file"},
      {"noise", 'n', OPTION_NUMBER, &a.noise, "S", "s.d. of ln(loss) between seeds (a fit's scatter, else 0.003)"},
      {"repeats", 'r', OPTION_INTEGER, &a.repeats, "N", "simulated fits (200)"},
      {"quick", 'q', OPTION_FLAG, &a.quick, NULL, "linearised intervals only, no simulated fit"},
      {"target", 't', OPTION_TEXT, &a.target, "QUANTITY", "which added run would lower its error most"},
      {"next", 0, OPTION_FLAG, &a.next.asked, NULL, "the runs not done yet that say most for their FLOPs, in order"},
      {"until", 0, OPTION_TEXT, &a.next.until, "WIDTH", "of --next: until the 95 % interval is so wide: 10%, 0.05"},
      {"at", 0, OPTION_LIST, &a.next.at, "POINT", "of --next: for the loss at this point: N=1e9,D=2e10,format=w4a4"},
      {"candidates", 0, OPTION_LIST, &a.next.candidates, "POINTS",
       "of --next: among these, N=1e6..1e8:5log,D=1e8|1e9, not the spec's runs"},
      {"limit", 0, OPTION_INTEGER, &a.next.limit, "N", "of --next: runs at most, 0 for all (20; with --until all)"},
      {"variant", 'v', OPTION_LIST, &a.variants, "PATH=VALUE", "compare with the spec changed so (repeatable)"},
      {"set", 0, OPTION_LIST, &a.choices.set, "PATH=VALUE", "give a field of base another value, in all (repeatable)"},
      {"preset", 0, OPTION_TEXT, &a.choices.preset, "NAME", "with what this preset changes, in all specs"},
      {"bootstrap", 'b', OPTION_INTEGER, &a.bootstrap, "N", "resamples of each fit, for its coverage (100; 0: none)"},
      {"starts", 0, OPTION_INTEGER, &a.starts, "N", "starts of each simulated fit (200)"},
      {"seed", 's', OPTION_INTEGER, &a.seed, "N", "of the noise"},
      {"threads", 'j', OPTION_INTEGER, &a.threads, "N", "threads (all cores); the result is the same"},
      {"json", 0, OPTION_FLAG, &json, NULL, "one JSON document on standard output"},
      {0}};
  const struct command_usage usage = {
      "isoloss design SPEC... [--assume LIST|FIT] [--noise S] [options]",
      "Draws the losses of the spec's runs from an assumed law with noise, makes the spec's fits on them, and again and\n"
      "again: bias, spread and coverage of every parameter and derived quantity, and what the sweep cannot tell apart.\n"
      "Several specs, or --variant, are compared: which is better for each quantity and over all. Nothing is trained.\n"
      "Ctrl-C stops the simulation and prints what it has. With --next nothing is simulated: the runs that are not done\n"
      "are put in the order in which they gain most for their FLOPs, for all coefficients together, or for --target or --at.",
      1, INT_MAX, "one or more specs (.yaml)"};
  if (command_begin(line, &usage, options)) design(&a, line, json);
}
