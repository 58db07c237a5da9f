// Tests of law files: what they may say, and the messages for what they may not.
#include <stdlib.h>

#include "tests/fitting/fitting_test.h"

static char message[4000];

// All diagnostics of a law's text, one a line, hints left out.
static const char *mistakes(const char *text) {
  struct law law;
  struct diagnostics diagnostics = {0};
  struct error error = {0};
  law_parse(&law, "l.yaml", text, strlen(text), &diagnostics, &error);
  message[0] = '\0';
  for (size_t i = 0; i < diagnostics.count; i++)
    snprintf(message + strlen(message), sizeof message - strlen(message), "%s%d:%d: %s", i ? "\n" : "",
             diagnostics.items[i].line, diagnostics.items[i].column, diagnostics.items[i].message);
  CHECK((diagnostics.errors > 0) == (error.code == EXIT_USAGE_ERROR));
  diagnostics_free(&diagnostics);
  law_free(&law);
  return message;
}

static void reads_a_law(void) {
  struct law law;
  if (!parse_law(&law,
                 "law: mine\n"
                 "about: text\n"
                 "predicts: bits_per_byte\n"
                 "formula: E + k * term(N) * eff[format]\n"
                 "residual: plain\n"
                 "objective: lad\n"
                 "define: {\"term(x)\": \"x ^ -alpha\"}\n"
                 "parameters:\n"
                 "  E: {starts: [1, 2]}\n"
                 "  k: {positive: true, starts: {log: [1, 100, 3]}, about: scale}\n"
                 "  alpha: {tied: 2 * eta}\n"
                 "  eta: {low: 0, high: 1, starts: {linear: [0, 1, 5]}}\n"
                 "  eff: {by: format, baseline: [none, BF16], starts: 0.5, positive: true}\n"
                 "stages:\n"
                 "  - {name: dense, where: baseline(format), free: [E, k, eta]}\n"
                 "  - {free: eff}\n"
                 "derived:\n"
                 "  twice: 2 * eta\n"
                 "  at_budget: {formula: twice * C, at: {flops: [1e18, 1e20]}}\n"
                 "exponents: [eta]\n"
                 "answers: [eff, twice]\n"))
    return;
  CHECK(law.answer_count == 2 && strcmp(law.answers[1], "twice") == 0);
  CHECK_TEXT(law.target, "bits_per_byte");
  CHECK(law.residual == RESIDUAL_PLAIN && law.objective.kind == OBJECTIVE_LAD);
  CHECK(law.parameter_count == 5 && law.parameters[1].start_count == 3);
  CHECK_NEAR(law.parameters[1].starts[1], 10, 1e-14);
  CHECK_NEAR(law.parameters[3].starts[4], 1, 0);
  CHECK(law.parameters[1].low == 0 && isinf(law.parameters[1].high));
  CHECK(law.parameters[4].baseline_count == 2 && law.parameters[2].tied);
  CHECK(law.stage_count == 2 && law.stages[0].free_count == 3);
  CHECK_TEXT(law.stages[1].name, "stage 2");
  CHECK(law.derived_count == 2 && law.derived[1].value_count == 2);
  if (CHECK(law.column_count == 2)) {
    CHECK_TEXT(law.columns[0], "format");
    CHECK_TEXT(law.columns[1], "parameters");
  }
  law_free(&law);
}

#define HEAD "law: l\nformula: "
#define TAIL "\nparameters: {a: {starts: 1}, b: {starts: 1, by: format}}\n"

static void refuses_mistakes(void) {
  CHECK_TEXT(mistakes("- a\n"), "1:1: a law is a mapping, not a list");
  CHECK_TEXT(mistakes("formula: a\n"), "1:1: a law begins with its name (law: NAME)\n1:1: a law has parameters");
  CHECK_TEXT(mistakes(HEAD "\"a * (N + b[format]\"" TAIL),
             "2:29: in formula: expected ')' to close the parenthesis, found the end");
  CHECK_TEXT(mistakes(HEAD "a + b" TAIL), "2:10: formula: parameter b has a value for every format: write b[format]");
  CHECK_TEXT(mistakes(HEAD "a[format] + b[format]" TAIL),
             "2:10: formula: 'a[format]': parameter a has one value; give it 'by: format' for one a category");
  CHECK_TEXT(mistakes(HEAD "a + c[format]" TAIL), "2:10: formula: 'c[format]': c is no parameter");
  CHECK_TEXT(mistakes(HEAD "a + b[format] + sqr(N)" TAIL),
             "2:10: formula: unknown function 'sqr'; did you mean 'sqrt'?");
  CHECK_TEXT(mistakes(HEAD "a * loss + b[format]" TAIL), "2:10: the formula uses loss, the column it is to predict");
  CHECK_TEXT(mistakes(HEAD "N + b[format]" TAIL), "3:14: parameter a does not occur in the formula");
  CHECK_TEXT(mistakes("law: l\nformula: a * N\nparameters: {a: {start: 1}}\n"),
             "3:18: unknown key 'start' in parameter a\n3:14: parameter a has no starts");
  CHECK(strstr(mistakes(HEAD "a\nparameters: {a: {starts: {log: [1, 1e999, 6]}}}\n"), "beyond the largest number"));
  CHECK(
      strstr(mistakes(HEAD "a\nparameters: {a: {starts: {log: [1e-300, 1e300, 6]}}}\n"), "beyond the largest number"));
  CHECK(strstr(mistakes(HEAD "a\nparameters: {a: {starts: {linear: [-1e308, 1.7e308, 6]}}}\n"), "beyond the largest"));
  CHECK_TEXT(mistakes("law: l\nformula: C * N\nparameters: {C: {starts: 1}}\n"),
             "3:14: N, D and C are short for parameters, tokens and flops; name the parameter otherwise\n"
             "3:14: parameter C does not occur in the formula");
  CHECK_TEXT(mistakes("law: l\nformula: a * N\nparameters: {a: {starts: [0, 1], positive: true}}\n"),
             "3:14: parameter a: the start 0 is outside its bounds");
  CHECK_TEXT(mistakes("law: l\nformula: a * N\nparameters: {a: {starts: x, low: 2, high: 1}}\n"),
             "3:26: starts must be numbers, not a string\n3:14: parameter a: low must be below high\n"
             "3:14: parameter a has no starts");
  CHECK_TEXT(mistakes("law: l\nformula: a * N\nparameters: {a: {starts: {log: [0, 1, 2]}}}\n"),
             "3:26: starts is neither a number, a list of numbers nor a range\n3:14: parameter a has no starts");
  CHECK_TEXT(mistakes("law: l\nformula: a * N\nobjective: huber\nresidual: logs\nparameters: {a: {starts: 1}}\n"),
             "4:11: residual 'logs' is neither log nor plain\n"
             "3:12: objective 'huber' is none of huber:DELTA (huber:1e-3), least-squares, lad, student-t:NU[:SCALE] "
             "(student-t:4), asymmetric:RATIO[:DELTA] (asymmetric:3)");
  CHECK_TEXT(mistakes("law: l\nformula: a * N\nparameters: {a: {starts: 1}}\nstages: [{free: [b]}, {where: N}]\n"),
             "4:10: stage stage 1 frees 'b', which is no parameter\n"
             "4:23: a stage names the parameters it frees (free:)");
  CHECK_TEXT(mistakes("law: l\nformula: a * N\nparameters: {a: {starts: 1}}\nderived: {k: a + later, later: a}\n"),
             "1:1: derived k: 'later' is neither a parameter nor a quantity derived before it");
  CHECK_TEXT(mistakes("law: l\nformula: f(N) + a\nparameters: {a: {starts: 1}}\ndefine: {\"f(x, y)\": x + y}\n"),
             "2:10: formula: f takes 2 arguments, not 1");
}

// Definitions that use themselves, or double at every step, end in a message.
static void bounded_definitions(void) {
  CHECK_TEXT(mistakes("law: l\nformula: a + f(N)\nparameters: {a: {starts: 1}}\ndefine: {\"f(x)\": f(x) + 1}\n"),
             "2:10: formula: the formula with its definitions is too large");
  struct text text = {0};
  text_add(&text, "law: l\nformula: a + d40\nparameters: {a: {starts: 1}}\ndefine:\n  d0: N\n");
  for (int i = 1; i <= 40; i++) text_format(&text, "  d%d: d%d + d%d\n", i, i - 1, i - 1);
  CHECK_TEXT(mistakes(text_string(&text)), "2:10: formula: the formula with its definitions is too large");
  text_clear(&text);
  text_add(&text,
           "law: l\nformula: a + f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(N))))))))))))))))))))\n"
           "parameters: {a: {starts: 1}}\ndefine: {\"f(x)\": x + x}\n");
  CHECK_TEXT(mistakes(text_string(&text)), "2:10: formula: the formula with its definitions is too large");
  text_free(&text);
}

static void names_laws(void) {
  struct law law;
  struct diagnostics diagnostics = {0};
  struct error error = {0};
  CHECK(!law_load(&law, "chinchila", &diagnostics, &error));
  CHECK_TEXT(error.text, "there is no law 'chinchila'; did you mean 'chinchilla'?");
  law_free(&law);
  error = (struct error){0};
  CHECK(!law_load(&law, "./nothing.yaml", &diagnostics, &error) && error.code);
  law_free(&law);
  diagnostics_free(&diagnostics);
}

// Every law that ships states where it comes from and loads without a word.
static void laws_that_ship(void) {
  static const char *const wanted[] = {"capacity",
                                       "chinchilla",
                                       "compression-loss",
                                       "data-constrained",
                                       "effective-parameters",
                                       "power-sum",
                                       "linearity",
                                       "overtraining",
                                       "power-law",
                                       "precision",
                                       "quartet",
                                       "quartet-beta1",
                                       "routed",
                                       "sparse-chinchilla",
                                       "sparse-foundation",
                                       "joint-learning-rate",
                                       "effective-compression",
                                       "optimizer-rescaled",
                                       "loss-rank",
                                       "loss-state-bytes",
                                       "selected-fraction",
                                       "tuned-parameters"};
  struct arena arena = {0};
  struct error error = {0};
  const char **names;
  size_t count;
  CHECK(law_names(&arena, &names, &count, &error));
  for (size_t i = 0; i < count; i++) {
    struct law law;
    if (!load_law(&law, names[i])) continue;
    CHECK_TEXT(law.name, names[i]);
    CHECK(law.source && strstr(law.source, "arXiv ") && law.about);
    law_free(&law);
  }
  for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++) {
    bool there = false;
    for (size_t i = 0; i < count; i++) there |= strcmp(names[i], wanted[w]) == 0;
    if (!CHECK(there)) printf("# %s\n", wanted[w]);
  }
  arena_free(&arena);
}

int main(void) {
  RUN(reads_a_law);
  RUN(refuses_mistakes);
  RUN(bounded_definitions);
  RUN(names_laws);
  RUN(laws_that_ship);
  return check_end();
}
