// What a reader of the report must know, in words; and where the runs ran.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "runner/plan/price.h"
#include "runner/plan/validation.h"
#include "runner/report/data.h"
#include "trainer/data/cache.h"

// Distinct texts of a column and how many runs have each, most frequent first.
struct tally {
  const char **texts;
  size_t *counts;
  size_t count;
};

static struct tally tally_of(struct report *report, const char *column, const bool *which) {
  struct arena *arena = &report->arena;
  struct tally tally = {arena_array(arena, report->count + 1, sizeof(char *)),
                        arena_array(arena, report->count + 1, sizeof(size_t)), 0};
  for (size_t i = 0; i < report->count; i++) {
    if (which && !which[i]) continue;
    struct value value = report_get(report, &report->runs[i], column);
    if (value.kind == VALUE_MISSING) continue;
    const char *text = value.kind == VALUE_TEXT ? value.text : arena_format(arena, "%g", value.number);
    size_t t = 0;
    while (t < tally.count && strcmp(tally.texts[t], text) != 0) t++;
    if (t == tally.count) tally.texts[tally.count++] = text;
    tally.counts[t]++;
  }
  for (size_t i = 1; i < tally.count; i++)
    for (size_t j = i; j > 0 && tally.counts[j] > tally.counts[j - 1]; j--) {
      const char *text = tally.texts[j];
      size_t count = tally.counts[j];
      tally.texts[j] = tally.texts[j - 1];
      tally.counts[j] = tally.counts[j - 1];
      tally.texts[j - 1] = text;
      tally.counts[j - 1] = count;
    }
  return tally;
}

static const char *tally_words(struct report *report, const struct tally *tally) {
  const char *words = "";
  for (size_t i = 0; i < tally->count && i < 8; i++)
    words = tally->count == 1 ? tally->texts[0]
                              : arena_format(&report->arena, "%s%s%s (%zu run%s)", words, i ? ", " : "",
                                             tally->texts[i], tally->counts[i], tally->counts[i] == 1 ? "" : "s");
  return tally->count > 8 ? arena_format(&report->arena, "%s, and %zu more", words, tally->count - 8) : words;
}

// What isoloss status and show say of runs in addition to their states.
static void find_notes(struct report *report) {
  size_t marks[RUN_MARKS] = {0}, resumed = 0, damaged = 0;
  const char *under = NULL;
  double lines = 0;
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    const char *condition = report_text(report, run, "resumed_under");
    double here = report_number(report, run, "log_damaged");
    marks[run_mark_parse(report_text(report, run, "mark"))] += !run_state_has_result(run->state);
    if (condition && *condition && !resumed++) under = condition;
    damaged += here > 0;
    lines += here > 0 ? here : 0;
  }
  if (marks[MARK_CANCELLED])
    report_say(report, true, "%zu of %zu runs %s cancelled: no fit sees %s, and isoloss run does not miss %s.",
               marks[MARK_CANCELLED], report->count, marks[MARK_CANCELLED] == 1 ? "was" : "were",
               marks[MARK_CANCELLED] == 1 ? "it" : "them", marks[MARK_CANCELLED] == 1 ? "it" : "them");
  if (marks[MARK_PAUSED])
    report_say(report, true, "%zu of %zu runs %s paused.", marks[MARK_PAUSED], report->count,
               marks[MARK_PAUSED] == 1 ? "is" : "are");
  if (resumed)
    report_say(report, true,
               "%zu of %zu runs went on under another instruction set, library, thread count or trainer (the first: "
               "%s); their losses may differ in rounding.",
               resumed, report->count, under);
  if (damaged)
    report_say(report, true,
               "The logs of %zu of %zu runs have lines that are no events, %.0f in all; these were passed over.",
               damaged, report->count, lines);
}

static void find_states(struct report *report) {
  const size_t *n = report->states;
  if (report->count == 0) report_say(report, true, "The experiment has no runs.");
  const char *const standing[] = {
      report->spec ? standing_pending(report->spec, &report->standing, &report->arena) : NULL,
      report->spec ? standing_left_out(report->spec, &report->standing, &report->arena) : NULL};
  for (size_t i = 0; i < sizeof standing / sizeof *standing; i++)
    if (standing[i]) report_say(report, true, "%s.", standing[i]);
  size_t stopped = n[RUN_KILLED] - (report->halved < n[RUN_KILLED] ? report->halved : n[RUN_KILLED]);
  size_t waiting = n[RUN_PENDING] + n[RUN_RUNNING] + stopped;
  if (waiting && !standing[0])
    report_say(report, true, "%zu of %zu runs %s not finished: %zu pending, %zu running, %zu stopped or lost.", waiting,
               report->count, waiting == 1 ? "is" : "are", n[RUN_PENDING], n[RUN_RUNNING], stopped);
  if (report->halved)
    report_say(report, true,
               "%s: they have no final loss, no fit sees them, and what is best among the others was chosen by early "
               "losses.",
               report->halved_words);
  if (n[RUN_FAILED])
    report_say(report, true, "%zu of %zu runs failed; no fit sees them.", n[RUN_FAILED], report->count);
  if (n[RUN_DIVERGED])
    report_say(report, true, "%zu of %zu runs diverged; they count as results without a loss, and no fit sees them.",
               n[RUN_DIVERGED], report->count);
  find_notes(report);
  size_t at_chance = 0;
  for (size_t i = 0; i < report->count && report->spec && spec_trains_model(report->spec); i++) {
    struct value vocabulary = report_get(report, &report->runs[i], "model.vocabulary");
    at_chance += vocabulary.kind == VALUE_NUMBER && report->runs[i].loss > log(vocabulary.number);
  }
  const char *chance = standing_at_chance(at_chance, report->count, &report->arena);
  if (chance) report_say(report, true, "%s.", chance);
  if (report->spec_changed)
    report_say(report, true, "The spec file has changed since these runs were started; the text below is the file's.");
  size_t again = 0;
  double most = 0;
  for (size_t i = 0; i < report->count; i++) {
    again += report->runs[i].epochs > 1.0001;
    if (report->runs[i].epochs > most) most = report->runs[i].epochs;
  }
  if (again)
    report_say(
        report, true,
        "%zu of %zu runs see their corpus more than once (up to %.2g epochs): laws for fresh tokens overrate them.",
        again, report->count, most);
}

static void find_mixture(struct report *report, const struct report_fit *fit) {
  for (size_t i = 0; i < run_column_count; i++) {
    if (!run_columns[i].mixed) continue;
    struct tally tally = tally_of(report, run_columns[i].name, fit->fitted);
    if (tally.count > 1)
      report_say(report, true, "fit %s mixes %s: %s.", fit->name, run_columns[i].mixed, tally_words(report, &tally));
  }
}

static int descending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x < y) - (x > y);
}

// Fitted runs far off the law: beyond three robust standard deviations and, of relative errors, one percent.
static void find_outliers(struct report *report, const struct report_fit *fit) {
  double *sizes = arena_array(&report->arena, report->count + 1, sizeof *sizes);
  size_t count = 0;
  for (size_t i = 0; i < report->count; i++)
    if (fit->fitted[i] && isfinite(fit->predicted[i]) && isfinite(fit->observed[i]))
      sizes[count++] = fabs(report_error(fit, i));
  if (count < 6) return;
  qsort(sizes, count, sizeof *sizes, descending);
  double limit = fmax(3 * 1.4826 * sizes[count / 2], fit_errors_absolute(&fit->result) ? 0 : 0.01);
  const char *words = "";
  size_t found = 0;
  for (size_t i = 0; i < report->count; i++) {
    double off = report_error(fit, i);
    if (!fit->fitted[i] || !(fabs(off) > limit)) continue;
    if (found++ < 5)
      words = arena_format(
          &report->arena, "%s%s%.*s %s", words, *words ? ", " : "", report->command ? 60 : 8, report->runs[i].id,
          fit_errors_absolute(&fit->result) ? fit_error_words(&report->arena, &fit->result, off, 3, true)
                                            : arena_format(&report->arena, "%+.1f %%", 100 * off));
  }
  if (found)
    report_say(report, true, "fit %s: %zu run%s far off the law: %s%s.", fit->name, found,
               found == 1 ? " lies" : "s lie", words, found > 5 ? ", ..." : "");
}

// Which formats these runs cannot tell from full precision, and which not from the next better one: their intervals
// say.
static void find_what_factors_cannot_tell(struct report *report, const struct report_fit *fit) {
  const struct plot_effective **sorted = arena_array(&report->arena, fit->effective_count + 1, sizeof *sorted);
  size_t count = 0;
  for (size_t i = 0; i < fit->effective_count; i++) {
    const struct plot_effective *one = &fit->effective[i];
    if (!isfinite(one->low) || !isfinite(one->high)) continue;
    size_t place = count++;
    for (; place > 0 && sorted[place - 1]->value < one->value; place--) sorted[place] = sorted[place - 1];
    sorted[place] = one;
  }
  const char *dense = "", *pairs = "";
  for (size_t i = 0; i < count; i++) {
    if (sorted[i]->low <= 1 && sorted[i]->high >= 1)
      dense = arena_format(&report->arena, "%s%s%s (%.2f .. %.2f)", dense, *dense ? ", " : "", sorted[i]->format,
                           sorted[i]->low, sorted[i]->high);
    if (i > 0 && sorted[i]->high > sorted[i - 1]->low)
      pairs = arena_format(&report->arena, "%s%s%s and %s", pairs, *pairs ? ", " : "", sorted[i - 1]->format,
                           sorted[i]->format);
  }
  if (*dense) report_say(report, false, "fit %s: these runs cannot tell from full precision: %s.", fit->name, dense);
  if (*pairs)
    report_say(report, false,
               "fit %s: the intervals of neighbours overlap: %s. Resamples move factors together, so that a claim "
               "(eff[A] > eff[B]) can still tell the order.",
               fit->name, pairs);
}

// How far the design reaches.
static void find_scope(struct report *report) {
  double sizes[2] = {INFINITY, 0}, tokens[2] = {INFINITY, 0};
  char text[4][40];
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    if (!isfinite(run->loss)) continue;
    sizes[0] = fmin(sizes[0], run->parameters);
    sizes[1] = fmax(sizes[1], run->parameters);
    tokens[0] = fmin(tokens[0], run->tokens);
    tokens[1] = fmax(tokens[1], run->tokens);
  }
  if (!(sizes[1] > 0) || !report->fit_count) return;
  report_say(
      report, false,
      "The runs span %s to %s parameters (a factor of %.3g) and %s to %s tokens (%.3g): what the fits say beyond is "
      "extrapolation.",
      number_human(sizes[0], text[0]), number_human(sizes[1], text[1]), sizes[1] / sizes[0],
      number_human(tokens[0], text[2]), number_human(tokens[1], text[3]), tokens[1] / tokens[0]);
}

static void find_fit(struct report *report, const struct report_fit *fit) {
  const struct fit_result *result = &fit->result;
  if (!fit->made) {
    report_say(report, true, "fit %s has not been made: isoloss fit %s", fit->name, report->spec_path);
    return;
  }
  for (size_t i = 0; i < result->warning_count; i++)
    if (!fit_warning_is_told(result, result->warnings[i]))
      report_say(report, true, "fit %s: %s", fit->name, result->warnings[i]);
  if (fit->law_trouble) report_say(report, true, "fit %s: %s", fit->name, fit->law_trouble);
  if (result->excluded_count)
    report_say(report, false, "fit %s leaves out %zu of the runs: %s.", fit->name, result->excluded_count,
               fit->exclusions);
  const char *version = result->made.version;
  if (!version || strcmp(version, ISOLOSS_VERSION) != 0)
    report_say(
        report, true,
        "fit %s was made by %s%s, and is shown as that made it; isoloss %s may say more, or otherwise: isoloss fit "
        "%s",
        fit->name, version ? "isoloss " : "an older isoloss", version ? version : "", ISOLOSS_VERSION,
        report->spec_path);
  size_t done = 0, later = 0;  // of trainings and of what followed them
  for (size_t i = 0; i < report->count + report->stages.count; i++) {
    const struct report_run *run = i < report->count ? &report->runs[i] : &report->stages.runs[i - report->count];
    done += run->state == RUN_DONE;
    later += run->state == RUN_DONE && run->finished_at > fit->created_at + 1;
  }
  if (later)
    report_say(report, true, "fit %s was made before %zu of the runs finished: isoloss fit %s", fit->name, later,
               report->spec_path);
  if (result->made.data_count == 1 && result->made.data[0].rows != done && !later && !report->command)
    report_say(report, true, "fit %s was made on %zu finished runs, and there are %zu now: isoloss fit %s", fit->name,
               result->made.data[0].rows, done, report->spec_path);
  if (result->residual == RESIDUAL_LOG && result->holdout_error > 2 * result->residual_rms &&
      result->holdout_error > 0.01)
    report_say(report, true,
               "fit %s: held-out runs are predicted with a mean error of %.2g %%, fitted ones with %.2g %%.", fit->name,
               100 * result->holdout_error, 100 * fit->mean_error);
  find_what_factors_cannot_tell(report, fit);
  find_outliers(report, fit);
  find_mixture(report, fit);
}

void report_find(struct report *report) {
  find_states(report);
  find_scope(report);
  for (size_t i = 0; i < report->fit_count; i++) find_fit(report, &report->fits[i]);
  if (report->spec && report->spec->claim_count && !report->claim_count)
    report_say(report, true, "the claims have not been judged: isoloss fit %s", report->spec_path);
  for (size_t i = 0; i < report->claim_count; i++)
    if (strcmp(report->claims[i].outcome, "not held") == 0)
      report_say(report, true, "claim not held: %s", report->claims[i].claim);
    else if (strcmp(report->claims[i].outcome, "undecided") == 0)
      report_say(report, false, "claim undecided: %s (%s)", report->claims[i].claim, report->claims[i].detail);
}

static void fact(struct report *report, const char *name, const char *text) {
  if (!text || !*text) return;
  report->facts =
      arena_grow(&report->arena, report->facts, report->fact_count, report->fact_count + 1, sizeof *report->facts);
  report->facts[report->fact_count++] = (struct report_fact){name, arena_string(&report->arena, text)};
}

// What the processor of this machine calls itself.
static const char *processor(struct arena *arena) {
  struct error error = {0};
  const char *all = file_read(arena, "/proc/cpuinfo", NULL, &error);
  const char *line = all ? strstr(all, "model name") : NULL;
  const char *colon = line ? strchr(line, ':') : NULL, *end = colon ? strchr(colon, '\n') : NULL;
  return end ? arena_copy(arena, colon + 2, (size_t)(end - colon - 2)) : "";
}

static void environment_fact(struct report *report, const char *column, const char *name) {
  struct tally tally = tally_of(report, column, NULL);
  fact(report, name, tally_words(report, &tally));
  if (strcmp(column, "host") == 0 && tally.count == 1 && strcmp(tally.texts[0], store_host(&report->arena)) == 0)
    fact(report, "processor", processor(&report->arena));
}

// What the losses were taken on, of corpora that are prepared on this machine.
static void validation_facts(struct report *report) {
  struct tally tally = tally_of(report, "corpus_digest", NULL);
  for (size_t i = 0; i < tally.count; i++) {
    struct error ignored = {0};
    struct arena *arena = &report->arena;
    const char *digest = tally.texts[i], *folder = corpus_cache_find(arena, digest, &ignored);
    struct corpus *corpus = folder ? corpus_open(folder, digest, NULL, &ignored) : NULL;
    if (!corpus) continue;
    struct corpus_facts facts = corpus_facts(corpus, corpus_nearest_context(corpus, 256));
    corpus_close(corpus);
    const char *doubt = validation_doubt(facts.validation_documents, facts.validation_tokens, arena);
    fact(report, "validation set",
         arena_format(arena, "%s (corpus %.8s)",
                      validation_words(facts.validation_documents, facts.validation_tokens, arena), digest));
    if (doubt) report_say(report, true, "The validation set of corpus %.8s is small: %s.", digest, doubt);
  }
}

// What the runs themselves spent: the steps that a run has from its trunk are the trunk's.
static void training_time(struct report *report) {
  double seconds = 0, flops = 0;
  size_t branches = 0;
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    double shared = report_number(report, run, "trunk_step"), steps = report_number(report, run, "steps");
    double before = report_number(report, run, "trunk_seconds");
    bool branch = isfinite(shared) && isfinite(before) && steps > 0;
    branches += branch;
    if (isfinite(run->wall_seconds)) seconds += run->wall_seconds - (branch ? before : 0);
    double own = report_number(report, run, "flops_own");
    if (run->state == RUN_DONE && isfinite(own)) flops += own * (branch ? 1 - shared / steps : 1);
  }
  char time[32];
  if (!(seconds > 0)) return;
  struct text text = {0};
  text_format(&text, "%s of all runs together, %.3g FLOPs", seconds_human(seconds, time), flops);
  if (branches)
    text_format(&text, " (%zu began from a longer run's checkpoint; the steps before it count once)", branches);
  fact(report, "training time", arena_string(&report->arena, text_string(&text)));
  text_free(&text);
}

// What share of the time the products alone would have taken.
static void speed_of_light(struct report *report) {
  double low = INFINITY, high = -INFINITY;
  for (size_t i = 0; i < report->count; i++) {
    const double share = report_number(report, &report->runs[i], "speed_of_light");
    if (!isfinite(share)) continue;
    low = fmin(low, share);
    high = fmax(high, share);
  }
  if (high < low) return;
  const char *shares = 100 * (high - low) < 0.5
                           ? arena_format(&report->arena, "%.2g %%", 100 * high)
                           : arena_format(&report->arena, "%.2g to %.2g %%", 100 * low, 100 * high);
  fact(report, "speed of light",
       arena_format(&report->arena, "the products alone, at their measured peak, would take %s of the time", shares));
}

// What the runs took of machines, where that has a price or was measured.
static void expenses(struct report *report) {
  struct expenses sum = {0};
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    expenses_add(&sum, report_number(report, run, "machine_seconds"), report_number(report, run, "joules"),
                 run_state_has_result(run->state));
  }
  struct run_terms terms = {.per_hour = NAN, .currency = "", .from = ""};
  struct error fault = {0};
  if (report->spec && !run_terms_find(report->spec, &report->arena, &terms, &fault))
    report_say(report, true, "The price of an hour is not known: %s.", fault.text);
  const char *words = expenses_words(&sum, &terms, &report->arena);
  if (words) fact(report, "machines", words);
}

void report_environment(struct report *report) {
  for (size_t i = 0; i < run_column_count; i++)
    if (run_columns[i].label) environment_fact(report, run_columns[i].name, run_columns[i].label);
  environment_fact(report, "corpus.source", "corpus");
  environment_fact(report, "corpus.tokenizer", "tokenizer");
  validation_facts(report);
  training_time(report);
  speed_of_light(report);
  expenses(report);
  fact(report, "results in", report->home);
}
