// Two groups of runs, paired on the settings that they share: how their losses, or what they need for the same loss,
// differ, against the noise of seeds.
//
// Settings. A setting (a run field that counts in a run's identity, or a spec's own) is *different* when no value of it
// is in both groups: that is what is compared. It is *shared* when a value is in both and it varies in one: runs are
// paired on all of these. The seed is shared, or where the groups have no seed in common, averaged over. Settings that
// the caller ignores are neither.
//
// Pairs. A run of each group with the same shared settings, both done with a loss. More than one run of a group with
// the same shared settings cannot be distinguished: they are left out and counted.
//
// Matching. Without one, losses at the runs' ends are compared. At matched flops, tokens or train_seconds x: the losses
// at the largest x that both reach. At matched loss: the flops (or tokens, train_seconds) that each needs for the
// highest loss that is an end of one of the two: the worse of both ends. Along `curves`, between a run's evaluations,
// in which flops and seconds are taken in proportion to the tokens; a curve's loss is the lowest so far. Along
// `ladders`, between the ends of a group's runs that share all but what sizes and lengths follow from (model.*,
// train.tokens and the like), those that no smaller x beats; each step of B's ladder is held against A's. Between
// neighbours the loss is linear in ln x. At a matched column, a result of a task: ladders of all runs of a group that
// are alike in the shared settings, whatever else they differ in; what is compared, another result, is linear in x
// between neighbours. Nothing is extrapolated: what lies outside the other's range is left out and
// counted.
#pragma once
#include <stdio.h>

#include "base/base.h"
#include "base/options.h"
#include "plots/plots.h"
#include "results/measures.h"
#include "results/store.h"
#include "runner/spec/comparison.h"

struct paired_request {
  const char *experiments[2];  // NULL: the whole store
  const char *wheres[2];       // or NULL
  const char *const *ignored;
  size_t ignored_count;
  enum paired_match match;
  enum paired_along along;
  enum paired_match measure;                  // at matched loss: what is compared (MATCH_FLOPS, _TOKENS, _SECONDS)
  const char *match_column, *measure_column;  // MATCH_COLUMN: results of a task; else NULL
};

struct paired_run {
  const char *id;
  enum run_state state;
  double loss, tokens, flops, train_seconds;  // NAN: not known; loss: or measure_column
  double matched;                             // match_column
  const char **settings;                      // text of each, of struct paired's names
  const char *key;                            // the shared ones
  bool paired;
  size_t curve_count;  // evaluations, ascending
  double *curve_tokens, *curve_loss;
};

struct paired_group {
  const char *name;  // in words: "quickstart where format == 'w4'"
  struct paired_run *runs;
  size_t count, states[RUN_STATES];
  size_t without_loss;                           // done, but without a finite loss
  size_t no_partner, partner_unfinished, alike;  // runs with a loss that are in no pair, and why
  double seed_noise;                             // standard deviation over seeds, of runs alike in all else; NAN
  size_t noise_degrees;                          // runs less their groups
};

// ROLE_IMPLIED: shared, and in these runs it follows from one that is listed before it.
enum paired_role { ROLE_SAME, ROLE_SHARED, ROLE_IMPLIED, ROLE_DIFFERENT, ROLE_AVERAGED, ROLE_IGNORED };

// One comparison. Of losses: difference = b - a in their unit; at matched loss: ln(b / a).
struct pair {
  const char *a, *b;  // ids of runs; of a ladder a is NULL; of averaged seeds the first of them
  const char *key;    // shared settings in words
  const char *cell;   // comparisons of one cell depend on each other
  double at;          // what was matched; at the ends: NAN
  double value_a, value_b, difference;
};

struct paired {
  struct arena arena;
  struct paired_request request;
  struct measure compared, matched;  // what they are called; matched: where something is
  const char **names;                // of settings
  bool *seeds;                       // of each: the seed, or one of a later stage that is each run's own seed
  enum paired_role *roles;
  size_t name_count;
  struct paired_group groups[2];
  struct pair *pairs;
  size_t count;
  size_t outside;   // comparisons that would have been extrapolations
  size_t no_curve;  // pairs without two evaluations or without the quantity
  // Over units: pairs, or of ladders the means of their cells.
  size_t units;
  double mean, deviation, low, high;  // low, high: 95 % interval by Student's t; NAN with one unit, or with `alike`
  const char *alike;                  // why there is no interval: units that do not differ from each other; or NULL
  double p;                           // two-sided; NAN: cannot tell
  const char *p_method;               // "exact sign-flip permutation", "paired t", or why it cannot tell
};

// False with an error: an unknown experiment or condition, a selection without runs, settings that leave no pair.
// paired_free in either case.
bool paired_find(struct paired *paired, struct store *store, const struct paired_request *request, struct error *error);
// Units, mean, interval and p of the pairs: exact over all sign flips of 6 to 16 units, paired t beyond; fewer cannot
// tell, since even units that all agree give p = 2 / 2^n.
void paired_judge(struct paired *paired);
// Seed noise of both groups.
void paired_noise(struct paired *paired);
// paired_match.c: comparisons along curves or ladders, of pairs of runs by index; in paired->pairs.
void paired_match_curves(struct paired *paired, const struct paired_run *a, const struct paired_run *b,
                         const char *key);
void paired_match_ladders(struct paired *paired);
struct pair *paired_add(struct paired *paired);
double paired_quantity(const struct paired_run *run, enum paired_match quantity);
bool paired_is_size_or_length(const char *setting);

// paired_print.c
void paired_print(const struct paired *paired, FILE *out);
// Parts of that, lines of text: one group; how they are compared; the mean difference, its interval and p.
void paired_say_group(const struct paired *paired, int group, struct text *out);
void paired_say_method(const struct paired *paired, struct text *out);
void paired_say_verdict(const struct paired *paired, struct text *out);
void paired_json(const struct paired *paired, struct json_writer *json);
// The figure of the differences, in the arena; it points into `paired` too.
void paired_figure(const struct paired *paired, const char *name, struct arena *arena, struct figure *figure);
// Draws it as FOLDER/NAME.svg, which is reported on standard error.
bool paired_draw(const struct paired *paired, const char *name, const char *folder, struct error *error);

// What an entry of a spec's `comparisons` asks for, of this experiment.
struct paired_request paired_request_of(const struct spec_comparison *comparison, const char *experiment);
void paired_free(struct paired *paired);
