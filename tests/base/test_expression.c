// Tests of base/expression.
#include <stdlib.h>

#include "base/base.h"
#include "base/expression.h"
#include "tests/check.h"

// Values of the names used in these tests.
static struct value known(const struct expression_name *name) {
  static const struct {
    const char *name, *index;
    struct value value;
  } table[] = {
      {"parameters", NULL, {.kind = VALUE_NUMBER, .number = 1000}},
      {"tokens", NULL, {.kind = VALUE_NUMBER, .number = 20000}},
      {"flops", NULL, {.kind = VALUE_NUMBER, .number = 6}},
      {"train.lr", NULL, {.kind = VALUE_NUMBER, .number = 0.003}},
      {"format", NULL, {.kind = VALUE_TEXT, .text = "w4a4"}},
      {"tied", NULL, {.kind = VALUE_BOOLEAN, .number = 1}},
      {"eff", "w4a4", {.kind = VALUE_NUMBER, .number = 0.7}},
      {"eff", "2:4+int4", {.kind = VALUE_NUMBER, .number = 0.4}},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(table[i].name, name->name) == 0 && !table[i].index == !name->index &&
        (!name->index || strcmp(table[i].index, name->index) == 0))
      return table[i].value;
  return (struct value){.kind = VALUE_MISSING};
}

static bool evaluate(const char *text, struct value *result, struct error *error) {
  struct arena arena = {0};
  struct expression *expression = expression_parse(&arena, text, error);
  bool fine = false;
  if (expression) {
    struct value slots[32];
    for (int i = 0; i < expression->name_count; i++) slots[i] = known(&expression->names[i]);
    fine = expression_evaluate(expression, slots, result, error);
  }
  arena_free(&arena);
  return fine;
}

static double number(const char *text) {
  struct value value = {0};
  struct error error = {0};
  if (!evaluate(text, &value, &error)) printf("# %s: %s\n", text, error.text);
  return value.kind == VALUE_NUMBER || value.kind == VALUE_BOOLEAN ? value.number : NAN;
}

static const char *failure(const char *text) {
  static struct error error;
  struct value value = {0};
  error = (struct error){0};
  return evaluate(text, &value, &error) ? "no error" : error.text;
}

static void arithmetic(void) {
  CHECK_NEAR(number("1 + 2 * 3"), 7, 0);
  CHECK_NEAR(number("(1 + 2) * 3"), 9, 0);
  CHECK_NEAR(number("2 ^ 3 ^ 2"), 512, 0);
  CHECK_NEAR(number("2 ** 3"), 8, 0);
  CHECK_NEAR(number("-2 ^ 2"), -4, 0);
  CHECK_NEAR(number("2 ^ -1"), 0.5, 0);
  CHECK_NEAR(number("7 % 4 - -1"), 4, 0);
  CHECK_NEAR(number("8 / 4 / 2"), 1, 0);
  CHECK_NEAR(number("10 - 4 - 3"), 3, 0);
  CHECK_NEAR(number("2.5e-3 * .5 + 1."), 1.00125, 1e-15);
  CHECK_NEAR(number("1 / 0"), INFINITY, 0);
  CHECK_NEAR(number("+3"), 3, 0);
  CHECK_NEAR(number("2\n * 3"), 6, 0);
}

static void names(void) {
  CHECK_NEAR(number("D / N"), 20, 0);
  CHECK_NEAR(number("tokens / parameters + C"), 26, 0);
  CHECK_NEAR(number("train.lr * 2"), 0.006, 1e-15);
  CHECK_NEAR(number("eff[w4a4]"), 0.7, 0);
  CHECK_NEAR(number("eff[\"2:4+int4\"] + eff['w4a4']"), 1.1, 1e-15);
  struct arena arena = {0};
  struct error error = {0};
  struct expression *e = expression_parse(&arena, "N + parameters + eff[format] + eff[format] + eff['format']", &error);
  if (CHECK(e)) {
    CHECK(e->name_count == 3);
    CHECK_TEXT(e->names[0].name, "parameters");
    CHECK_TEXT(e->names[1].index, "format");
    CHECK(!e->names[1].index_quoted && e->names[2].index_quoted);
    CHECK(e->names[1].offset == 17);
  }
  arena_free(&arena);
}

static const char *shout(void *context, const char *name, const char *text, struct arena *arena) {
  return strcmp(name, context) == 0 ? arena_format(arena, "%s!", text) : text;
}

// Only texts that are compared with a name are put into its spelling.
static void spellings(void) {
  static const struct {
    const char *source, *text;  // text: the value of format
  } cases[] = {
      {"format == 'a'", "a!"},
      {"'a' != format", "a!"},
      {"N > 1 and (format in ['b', 'c!'] or false)", "b!"},
      {"lr == 1 ? format == 'c' : true", "c!"},
      {"state == 'a'", "a!"},
      {"max(1, 'a' == 'a')", "a!"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct arena arena = {0};
    struct error error = {0};
    struct expression *e = expression_parse(&arena, cases[i].source, &error);
    if (CHECK(e)) {
      expression_spell_texts(e, &arena, shout, "format");
      struct value slots[4], result = {0};
      for (int k = 0; k < e->name_count; k++)
        slots[k] = strcmp(e->names[k].name, "format") == 0  ? (struct value){.kind = VALUE_TEXT, .text = cases[i].text}
                   : strcmp(e->names[k].name, "state") == 0 ? (struct value){.kind = VALUE_TEXT, .text = "a"}
                                                            : (struct value){.kind = VALUE_NUMBER, .number = 2};
      if (strncmp(cases[i].source, "lr", 2) == 0) slots[0].number = 1;
      bool fine = expression_evaluate(e, slots, &result, &error);
      bool unequal = strstr(cases[i].source, "!= format") != NULL;
      if (CHECK(fine)) CHECK((result.number != 0) == !unequal);
    }
    arena_free(&arena);
  }
}

static void conditions(void) {
  CHECK(number("1 < 2 and 2 <= 2 and not 3 == 4") == 1);
  CHECK(number("1 > 2 || !(2 >= 3) && 1 != 2") == 1);
  CHECK(number("true or false and false") == 1);
  CHECK(number("format == \"w4a4\"") == 1);
  CHECK(number("format != 'none'") == 1);
  CHECK(number("format in [\"none\", \"w4a4\"]") == 1);
  CHECK(number("format not in [\"none\", \"w4a4\"]") == 0);
  CHECK(number("N in [1, 10 ^ 3]") == 1);
  CHECK(number("tied == true ? 5 : 6") == 5);
  CHECK(number("N > 1e6 ? 1 : N > 100 ? 2 : 3") == 2);
  CHECK(number("false and absent > 3") == 0);  // the part that is not needed is not evaluated
  CHECK(number("true ? 1 : absent") == 1);
  CHECK(number("not format == 'none' and N == 1000") == 1);
}

static void functions(void) {
  CHECK_NEAR(number("abs(-2) + exp(0) + log(exp(2)) + log2(8) + log10(1000) + sqrt(16)"), 15, 1e-14);
  CHECK_NEAR(number("tanh(0.5)"), tanh(0.5), 0);
  CHECK_NEAR(number("sin(1) ^ 2 + cos(1) ^ 2"), 1, 1e-15);
  CHECK_NEAR(number("min(3, 1, 2) + max(3, 1, 2) * 10"), 31, 0);
  CHECK_NEAR(number("floor(-1.5) + ceil(-1.5) + round(2.5)"), 0, 0);
  CHECK_NEAR(number("pow(2, 10)"), 1024, 0);
  CHECK_NEAR(number("sum(1, 2, 3) + mean(1, 2, 6)"), 9, 0);
  CHECK_NEAR(number("logsumexp(1000, 1000)"), 1000 + log(2), 1e-15);
  CHECK_NEAR(number("logsumexp(-1000, -1001, -999)"), -999 + log(1 + exp(-1) + exp(-2)), 1e-15);
  CHECK(isnan(number("max(1, 0 / 0)")));
}

static void parse_errors(void) {
  CHECK_TEXT(failure(""), "column 1: the expression is empty");
  CHECK_TEXT(failure("1 +"), "column 4: expected a value, found the end");
  CHECK_TEXT(failure("N * (D + 1"), "column 11: expected ')' to close the parenthesis, found the end");
  CHECK_TEXT(failure("2 N"), "column 3: expected an operator or the end, found 'N'");
  CHECK_TEXT(failure("2N"), "column 2: unexpected 'N' after the number 2 (multiplication is written with *)");
  CHECK_TEXT(failure("a = 3"), "column 3: '=' is written '==' in a comparison");
  CHECK_TEXT(failure("1 < 2 < 3"), "column 7: comparisons do not chain: write a < b and b < c");
  CHECK_TEXT(failure("format == 'none"), "column 11: this text has no closing '");
  CHECK_TEXT(failure("max(1, )"), "column 8: expected another value after ',', found ')'");
  CHECK_TEXT(failure("eff[2:4]"), "column 5: expected a name or a quoted text within eff[...], found '2'");
  CHECK_TEXT(failure("\xc3\xa9 + 1"), "column 1: unexpected character (byte 0xc3)");
  CHECK_TEXT(failure("'\xc3\xa9' + $"), "column 7: unexpected character '$'");
  CHECK_TEXT(failure("1 +\n  * 2"), "line 2, column 3: expected a value, found '*'");
  CHECK_TEXT(failure("N in 3"), "column 6: expected '[' after 'in', found '3'");
  CHECK_TEXT(
      failure("N > 9007199254740993"),
      "column 5: 9007199254740993 is no number that can be compared exactly; above 2^53 write one that is, or 1e16");
  CHECK_TEXT(failure("9007199254740992 + 9007199254740994 > 1e16"), "no error");
  CHECK_TEXT(failure("1 ? 2"), "column 6: expected ':' between the two values of a condition, found the end");
}

static void evaluation_errors(void) {
  CHECK_TEXT(failure("absent + 1"), "column 1: 'absent' has no value here");
  CHECK_TEXT(failure("1 + eff[\"none\"]"), "column 5: 'eff[\"none\"]' has no value here");
  CHECK_TEXT(failure("format + 1"), "column 1: expected a number here, found the text \"w4a4\"");
  CHECK_TEXT(failure("format == 4"), "column 8: cannot compare a text with a number");
  CHECK_TEXT(failure("format < 'z'"), "column 8: texts have no order; < and > compare numbers");
  CHECK_TEXT(failure("sqr(2)"), "column 1: unknown function 'sqr' (did you mean 'sqrt'?)");
  CHECK_TEXT(failure("exp(1, 2)"), "column 1: exp takes 1 argument, not 2");
  CHECK_TEXT(failure("min()"), "column 1: min takes at least 1 argument, not 0");
}

// Limits hold: deep nesting and long chains are errors or work, never a crash.
static void limits(void) {
  struct error error = {0};
  struct value value;
  struct text text = {0};
  for (int i = 0; i < 190; i++) text_char(&text, '(');
  text_char(&text, '1');
  for (int i = 0; i < 190; i++) text_char(&text, ')');
  CHECK_NEAR(number(text_string(&text)), 1, 0);
  text_clear(&text);
  for (int i = 0; i < 201; i++) text_char(&text, '(');
  CHECK(!evaluate(text_string(&text), &value, &error));
  CHECK(strstr(error.text, "nested more than 200 levels"));
  static const char openers[] = "(-!^[";
  for (int o = 0; openers[o]; o++) {
    text_clear(&text);
    if (openers[o] == '^') text_char(&text, '2');
    for (int i = 0; i < 30000; i++)
      text_add(&text, openers[o] == '^' ? "^2" : openers[o] == '-' ? "-" : (char[]){openers[o], 0});
    error = (struct error){0};
    CHECK(!evaluate(text_string(&text), &value, &error));
  }
  text_clear(&text);
  text_char(&text, '1');
  for (int i = 0; i < 1500; i++) text_add(&text, "+1");
  CHECK_NEAR(number(text_string(&text)), 1501, 0);
  for (int i = 0; i < 20000; i++) text_add(&text, "+1");
  error = (struct error){0};
  CHECK(!evaluate(text_string(&text), &value, &error));
  CHECK(strstr(error.text, "chains more than"));
  for (int i = 0; i < 40000; i++) text_add(&text, "+1");
  error = (struct error){0};
  CHECK(!evaluate(text_string(&text), &value, &error));
  CHECK_TEXT(error.text, "the expression is longer than 65536 bytes");
  text_free(&text);
}

// Ten thousand deterministic mutations of good expressions: parsed and evaluated, or refused with a place.
static void mutations(void) {
  static const char *const seeds[] = {
      "E + A / N^alpha + B / D^beta",
      "format in [\"none\", 'w4a4'] and not epochs <= 1.5e-3",
      "train.lr * (parameters / 1e5) ^ -0.5",
      "eff[w4a4] > eff[\"2:4+int4\"] ? min(1, 2, x.y.z) : logsumexp(a, -b, c % 3)",
  };
  static const char alphabet[] = "()[]+-*/^%<>=!&|?:,.'\"eEND019 axin\n\x80\xff";
  struct text text = {0};
  int parsed = 0, refused = 0;
  for (uint64_t round = 0; round < 10000; round++) {
    const char *seed = seeds[round % 4];
    text_clear(&text);
    text_add(&text, seed);
    uint64_t changes = 1 + random_below(7, 1, round, 0, 4);
    for (uint64_t c = 0; c < changes; c++) {
      uint64_t at = random_below(7, 2, round, c, text.length), what = random_below(7, 3, round, c, 3);
      char letter = alphabet[random_below(7, 4, round, c, sizeof alphabet - 1)];
      if (what == 0) {
        text.bytes[at] = letter;
      } else if (what == 1 && text.length > 1) {
        memmove(text.bytes + at, text.bytes + at + 1, text.length - at);
        text.length--;
      } else {
        text_char(&text, ' ');
        memmove(text.bytes + at + 1, text.bytes + at, text.length - at - 1);
        text.bytes[at] = letter;
      }
    }
    struct arena arena = {0};
    struct error error = {0};
    struct expression *expression = expression_parse(&arena, text_string(&text), &error);
    if (expression) {
      parsed++;
      struct value slots[64] = {0}, value;
      for (int i = 0; i < expression->name_count && i < 64; i++) slots[i] = known(&expression->names[i]);
      if (!expression_evaluate(expression, slots, &value, &error))
        CHECK(error.place > 0 && error.offset >= 0 && (size_t)error.offset <= text.length);
    } else {
      refused++;
      CHECK(error.place > 0 && (size_t)error.offset <= text.length && error.code == EXIT_USAGE_ERROR);
    }
    arena_free(&arena);
  }
  CHECK(parsed > 500 && refused > 500);
  text_free(&text);
}

// Sums over schedules: 100 steps at 1e-3, then 100 that fall to 0 in equal parts.
static void sums_over_schedules(void) {
  CHECK_NEAR(number("sum_over('0:1e-3,100:1e-3,200:0', 200, piece.steps)"), 200, 1e-12);
  CHECK_NEAR(number("sum_over('0:1e-3,100:1e-3,200:0', 150, piece.drop)"), 5e-4, 1e-15);
  CHECK_NEAR(number("sum_over('0:1e-3,100:1e-3,200:0', 200, piece.lr * piece.steps)"), 0.1 + 1e-3 * 49.5, 1e-9);
  CHECK_NEAR(number("sum_over('0:0,100:1e-3,200:1e-3', 200, piece.drop)"), 0, 0);
  CHECK_NEAR(number("2 * sum_over('0:1,10:1', 10, piece.steps * tokens)"), 2 * 10 * 20000, 1e-6);
  CHECK(strstr(failure("sum_over('0:1,10:1', 11, piece.steps)"), "step 11 is beyond the schedule, which has 10 steps"));
  CHECK(strstr(failure("sum_over('0:1,10:x', 5, piece.steps)"), "the schedule: column 8: expected a learning rate"));
  CHECK(strstr(failure("sum_over(3, 5, piece.steps)"), "no text of a schedule"));
  CHECK(strstr(failure("sum_over('0:1,10:1', 5)"), "not 2 arguments"));
  CHECK(strstr(failure("piece.lr + 1"), "only within sum_over"));
  CHECK(strstr(failure("piece.rate + 1"), "no 'rate'"));
  CHECK_NEAR(number("sum_over('0:1,10:1', 5, piece.steps * sum_over('0:1,10:1', 4, piece.lr))"), 5 * 4, 1e-12);
}

int main(void) {
  RUN(arithmetic);
  RUN(names);
  RUN(spellings);
  RUN(conditions);
  RUN(functions);
  RUN(parse_errors);
  RUN(evaluation_errors);
  RUN(limits);
  RUN(mutations);
  RUN(sums_over_schedules);
  return check_end();
}
