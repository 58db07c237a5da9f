// The tables of keys; see entries.h. Their order is that of the documentation and of --help.
#include "runner/spec/entries.h"

#include <string.h>

#include "results/columns.h"
#include "runner/spec/spec.h"

static const char *const intervals[] = {"percentile", "bca", "t", NULL};
static const char *const residuals[] = {"log", "plain", NULL};
static const char *const objectives[] = {"huber", "least-squares", "lad", "student-t", "asymmetric", NULL};
static const char *const objective_examples[] = {"huber:1e-3",  "least-squares", "lad",
                                                 "student-t:4", "asymmetric:3",  NULL};
static const char *const methods[] = {"isoflop", NULL};
static const char *const minima[] = {"akima", "parabola", "envelope", NULL};

#define AT(member) offsetof(struct spec_fit, member)
static const struct entry_key fit_keys[] = {
    // name, type, place, example, help; what else there is by its name
    {"name", ENTRY_TEXT, AT(name), "mine", "the law's name when not given"},
    {"law", ENTRY_LAW, AT(law), "chinchilla", "a law that ships, or the path of a law's .yaml file", .required = true,
     .hint = "law: chinchilla",
     .option = {"law", 'l', "NAME", "the law: one that ships (isoloss laws) or your own .yaml file", OF_FIT}},
    {"where", ENTRY_CONDITION, AT(where), "N > 1e6", "an expression over the runs' columns: which runs are fitted",
     .option = {"where", 'w', "EXPR", "rows that take part: \"format == 'none' and N > 1e6\"", OF_FITS}},
    {"by", ENTRY_COLUMN, AT(by), "format",
     "a column: the law is fitted to the runs of each of its values by themselves", .hint = "by: format",
     .option = {"by", 0, "COLUMN", "fit the law to the rows of each value of a column by themselves",
                OF_FIT_AND_PREDICT}},
    {"objective", ENTRY_OBJECTIVE, AT(objective), "huber:1e-3",
     "huber:DELTA, least-squares, lad, student-t:NU[:SCALE] or asymmetric:RATIO[:DELTA]", .choices = objectives,
     .hint = "huber:1e-3",
     .option = {"objective", 0, "KIND",
                "huber:DELTA, least-squares, lad, student-t:NU[:SCALE] or asymmetric:RATIO[:DELTA] (else the law's)",
                OF_FITS, objective_examples}},
    {"residual", ENTRY_CHOICE, AT(residual), "plain", NULL, .choices = residuals,
     .option = {"residual", 0, "KIND", "log or plain (else the law's)", OF_FITS}},
    {"tie", ENTRY_TEXTS, AT(tie), "beta=alpha", "coefficients that have the value of another one",
     .hint = "tie: beta=alpha",
     .option = {"tie", 0, "NAME=NAME", "a coefficient has the value of another one: beta=alpha", OF_FIT_AND_PREDICT}},
    {"low", ENTRY_TEXTS, AT(low), "[E=1, 'eff[w4a4]=0.1']", "lower bounds of coefficients, in place of the law's",
     .hint = "low: E=1", .option = {"low", 0, "NAME=VALUE", "lower bound of a coefficient: E=1", OF_FIT_AND_PREDICT}},
    {"high", ENTRY_TEXTS, AT(high), "E=2", "upper bounds of coefficients, in place of the law's", .hint = "high: E=2",
     .option = {"high", 0, "NAME=VALUE", "upper bound of a coefficient: E=2", OF_FIT_AND_PREDICT}},
    {"prior", ENTRY_TEXTS, AT(prior), "['alpha=0.34~0.05', 'log(A)=6~0.5']",
     "normal priors of coefficients or their logarithms: mean~standard deviation", .hint = "prior: alpha=0.34~0.05",
     .option = {"prior", 0, "NAME=M~SD", "normal prior of a coefficient, or of its logarithm: \"log(A)=6~0.5\"",
                OF_FIT_AND_PREDICT}},
    {"partial_pooling", ENTRY_NAMES, AT(partial_pooling), "[eff]",
     "parameters of each category that are drawn from a common mean, with a spread that is estimated",
     .hint = "partial_pooling: eff",
     .option = {"partial-pooling", 0, "NAME", "draw the categories of a parameter from a common mean: eff",
                OF_FIT_AND_PREDICT}},
    {"global_check", ENTRY_BOOLEAN, AT(global_check), "true",
     "look for a lower minimum on a grid over the coefficients in which the law is not linear",
     .option = {"global-check", 0, NULL, "look for a lower minimum on a grid over the nonlinear coefficients",
                OF_FIT_AND_PREDICT}},
    {"bootstrap", ENTRY_INTEGER, AT(bootstrap), "100", "resamples", .low = 0, .high = 10000000,
     .mistake = "must be a number of resamples, at most 10 million", .hint = "0 turns it off",
     .option = {"bootstrap", 'b', "N", "resamples for the intervals (default 1000, 0: none)", OF_FITS}},
    {"interval", ENTRY_CHOICE, AT(interval), "percentile", NULL, .choices = intervals,
     .option =
         {"interval", 0, "KIND",
          "bca (bias-corrected and accelerated), percentile or t; by default bca, and t where groups or rows are few",
          OF_FITS}},
    {"profile", ENTRY_NAMES, AT(profile), "[E, alpha]", "parameters whose profile likelihood is wanted, or all",
     .option = {"profile-of", 0, "NAME", "of one parameter (may be given several times)", OF_FIT}},
    {"contour", ENTRY_TEXTS, AT(contour), "'alpha,beta'",
     "pairs of parameters: the confidence region of both by the profile likelihood, and their resamples, for figures",
     .hint = "contour: 'alpha,beta'",
     .option = {"contour", 0, "NAME,NAME", "joint confidence region of two parameters: alpha,beta", OF_FIT}},
    {"leave_out", ENTRY_COLUMNS, AT(leave_out), "[parameters, format]",
     "columns: the fit is made anew without each of their values, and predicts it",
     .hint = "leave_out: [parameters, format]",
     .option = {"leave-out", 0, "LIST", "refit without each value of these columns, and predict it", OF_FIT}},
    {"score", ENTRY_TEXTS, AT(score), "['E=1.69,A=406.4,B=410.7,alpha=0.34,beta=0.28']",
     "coefficients from elsewhere, or a .json of them or of a fit: what they reach on these runs",
     .hint = "score: ['E=1.69,A=406.4,...', fit.json]",
     .option = {"score", 0, "LIST|FILE",
                "coefficients from elsewhere on these rows: E=1.69,A=406.4,..., or a .json of them or of a fit",
                OF_FIT}},
    {"ratio", ENTRY_TEXTS, AT(ratio), "'eff[w4a4]/eff[w3a3]'",
     "ratios of coefficients, with intervals and the significance of their being 1",
     .hint = "ratio: 'eff[w4a4]/eff[w3a3]'",
     .option = {"ratio", 0, "NAME/NAME", "ratio of coefficients, and whether it is 1: \"eff[w4a4]/eff[w3a3]\"",
                OF_FIT}},
    {"holdout", ENTRY_CONDITION, AT(holdout), "model.width == 128",
     "an expression: runs that are predicted, not fitted",
     .option = {"holdout", 0, "EXPR", "rows kept from the fit to test it: \"N > 1e8\"", OF_FITS}},
    {"best_over", ENTRY_FIELDS, AT(best_over), "[train.lr]", "keep the best run of these axes",
     .option = {"best-over", 0, "LIST", "keep the best row over these columns: lr,batch", OF_FITS}},
    {"best_by", ENTRY_CONDITION, AT(best_by), "train_loss",
     "what is lowest in the best run: an expression over the runs' columns, with a minus where more is better; loss when "
     "not given",
     .option = {"best-by", 0, "EXPR", "what --best-over takes the lowest of (loss): --best-by=-accuracy", OF_FITS}},
    {"average_over", ENTRY_FIELDS, AT(average_over), "[seed]", "average the runs of these axes: seeds",
     .option = {"average-over", 0, "LIST", "average over these columns: seed", OF_FITS}},
    {"parameter_count", ENTRY_CHOICE, AT(parameter_count), "total", "what N counts", .choices = parameter_count_names,
     .fallback = "non-embedding"},
    {"compare", ENTRY_LAWS, AT(compare), "[power-sum]", "laws to hold against this one on the same runs",
     .hint = "compare: [power-sum]"},
};
#undef AT

#define AT(member) offsetof(struct spec_isoflop, member)
static const struct entry_key isoflop_keys[] = {
    {"name", ENTRY_TEXT, AT(name), "optima", "isoflop when not given"},
    {"method", ENTRY_CHOICE, AT(method), "isoflop", NULL, .choices = methods, .required = true},
    {"minimum", ENTRY_CHOICE, AT(minimum), "parabola", "how the minimum of a budget is found", .choices = minima,
     .fallback = "akima", .option = {"method", 'm', "NAME", "akima (default), parabola, or envelope", OF_ISOFLOP}},
    {"budget", ENTRY_COLUMN, AT(budget), "flops_6nd",
     "the column of a run's budget in FLOPs: flops_6nd; flops when not given", .hint = "budget: flops_6nd",
     .option = {"budget", 'b', "COLUMN", "the budget of a row in FLOPs: flops_6nd (flops)", OF_ISOFLOP}},
    {"where", ENTRY_CONDITION, AT(where), "N > 1e6", "an expression over the runs' columns: which runs take part",
     .option = {"where", 'w', "EXPR", "rows that take part: \"config == 'tuned'\"", OF_ISOFLOP}},
    {"noise", ENTRY_NOISE, AT(noise), "0.002@3,0.05@7", "seed noise of the loss: 0.002, or 0.002@3,0.05@7",
     .hint = "noise: 0.002, or 0.002@3,0.05@7 where it rises with the loss",
     .option = {"noise", 0, "S", "seed noise of the loss: 0.002, or rising: 0.002@3,0.05@7", OF_ISOFLOP}},
    {"window", ENTRY_FACTOR, AT(window), "6", "parabola: only sizes within this factor of the best", .low = 1,
     .mistake = "is a factor above 1: sizes within it of the best one count", .hint = "window: 6",
     .option = {"window", 0, "FACTOR", "parabola: only sizes within FACTOR of the best (all)", OF_ISOFLOP}},
    {"average", ENTRY_BOOLEAN, AT(average), "true", "several runs of one size: their mean, not the lowest",
     .option = {"average", 0, NULL, "several rows of one size: their mean, not the lowest", OF_ISOFLOP}},
    {"copies", ENTRY_INTEGER, AT(copies), "100", "copies with noise, for intervals", .low = 0, .high = 100000,
     .fallback = "1000", .mistake = "must be a number of copies, at most 100000", .hint = "0 turns intervals off",
     .option = {"copies", 0, "N", "copies with noise, for the intervals (1000)", OF_ISOFLOP}},
    {"pin", ENTRY_PIN, AT(pin), "a=0.5", "exponents that are held: a of N* in C, b of D*",
     .hint = "pin: a=0.5, or a=0.5,b=0.5",
     .option = {"pin", 0, "LIST", "hold an exponent, fit its coefficient: a=0.5 (of N* in C), b=0.5 (of D*)",
                OF_ISOFLOP}},
    {"parameter_count", ENTRY_CHOICE, AT(parameter_count), "total", "what N counts", .choices = parameter_count_names,
     .fallback = "non-embedding",
     .option = {"parameter-count", 0, "COUNT", "of a spec's runs (non-embedding)", OF_ISOFLOP}},
};
#undef AT

const struct entry_kind fit_entry = {"fit", NULL, fit_keys, sizeof fit_keys / sizeof *fit_keys};
const struct entry_kind isoflop_entry = {"fit of method isoflop", "compute-optimal sizes, without a law", isoflop_keys,
                                         sizeof isoflop_keys / sizeof *isoflop_keys};

const struct entry_key *entry_key_find(const struct entry_kind *kind, const char *name) {
  for (size_t k = 0; k < kind->count; k++)
    if (strcmp(kind->keys[k].name, name) == 0) return &kind->keys[k];
  return NULL;
}

size_t entry_choice_count(const struct entry_key *key) {
  size_t count = 0;
  while (key->choices && key->choices[count]) count++;
  return count;
}

bool entry_key_is_list(const struct entry_key *key) { return key->type >= ENTRY_LAWS; }

void entry_clear(const struct entry_kind *kind, void *entry) {
  for (const struct entry_key *key = kind->keys; key < kind->keys + kind->count; key++) {
    void *member = (char *)entry + key->place;
    if (entry_key_is_list(key))
      *(struct option_list *)member = (struct option_list){0};
    else if (key->type == ENTRY_INTEGER)
      *(int64_t *)member = -1;
    else if (key->type == ENTRY_FACTOR)
      *(double *)member = 0;
    else if (key->type == ENTRY_BOOLEAN)
      *(bool *)member = false;
    else if (key->type == ENTRY_CONDITION)
      *(struct spec_condition *)member = (struct spec_condition){0};
    else
      *(const char **)member = NULL;
  }
}

void entry_default(const struct entry_kind *kind, void *entry) {
  entry_clear(kind, entry);
  for (const struct entry_key *key = kind->keys; key < kind->keys + kind->count; key++) {
    if (!key->fallback) continue;
    void *member = (char *)entry + key->place;
    if (key->type == ENTRY_INTEGER)
      integer_parse(key->fallback, member);
    else
      *(const char **)member = key->fallback;
  }
}

struct spec_fit spec_fit_of_law(const char *law) {
  struct spec_fit fit = {0};
  entry_default(&fit_entry, &fit);
  fit.name = fit.law = law;
  return fit;
}
