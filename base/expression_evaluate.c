// Evaluating expressions for one set of values.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/expression.h"
#include "base/rate_schedule.h"
#include "base/text.h"

const char *const expression_functions[] = {"abs", "exp",       "log", "log2", "log10",    "sqrt", "tanh",
                                            "sin", "cos",       "min", "max",  "floor",    "ceil", "round",
                                            "pow", "logsumexp", "sum", "mean", "sum_over", NULL};

struct evaluation {
  const struct expression *expression;
  const struct value *slots;
  struct error *error;
  const struct rate_piece *piece;  // of the sum_over whose body is evaluated; NULL outside
};

static bool evaluate(const struct evaluation *run, const struct expression_node *node, struct value *result);

static bool fail(const struct evaluation *run, const struct expression_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool fail(const struct evaluation *run, const struct expression_node *node, const char *format, ...) {
  char message[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  if (!*run->expression->source) return error_set(run->error, EXIT_USAGE_ERROR, "%s", message);  // made, not parsed
  return error_at(run->error, EXIT_USAGE_ERROR, run->expression->source, node->offset, "%s", message);
}

static const char *kind_name(enum value_kind kind) {
  switch (kind) {
    case VALUE_MISSING:
      return "no value";
    case VALUE_NUMBER:
      return "a number";
    case VALUE_TEXT:
      return "a text";
    case VALUE_BOOLEAN:
      return "a condition";
  }
  return "?";
}

static struct value number_value(double number) { return (struct value){.kind = VALUE_NUMBER, .number = number}; }
static struct value boolean_value(bool truth) { return (struct value){.kind = VALUE_BOOLEAN, .number = truth}; }

// A condition counts as 0 or 1 in arithmetic.
static bool evaluate_number(const struct evaluation *run, const struct expression_node *node, double *number) {
  struct value value;
  if (!evaluate(run, node, &value)) return false;
  if (value.kind == VALUE_TEXT) return fail(run, node, "expected a number here, found the text \"%s\"", value.text);
  *number = value.number;
  return true;
}

static bool evaluate_truth(const struct evaluation *run, const struct expression_node *node, bool *truth) {
  struct value value;
  if (!evaluate(run, node, &value)) return false;
  if (value.kind == VALUE_TEXT) return fail(run, node, "expected a condition here, found the text \"%s\"", value.text);
  *truth = value.number != 0;
  return true;
}

bool value_equal(struct value a, struct value b) {
  if (a.kind != b.kind) return false;
  if (a.kind == VALUE_TEXT) return a.text == b.text || strcmp(a.text, b.text) == 0;
  return a.kind == VALUE_MISSING || a.number == b.number;
}

static bool equal_values(const struct evaluation *run, const struct expression_node *node, const struct value *left,
                         const struct value *right, bool *equal) {
  if ((left->kind == VALUE_TEXT) != (right->kind == VALUE_TEXT))
    return fail(run, node, "cannot compare %s with %s", kind_name(left->kind), kind_name(right->kind));
  *equal = value_equal(*left, *right);
  return true;
}

static bool evaluate_comparison(const struct evaluation *run, const struct expression_node *node,
                                struct value *result) {
  struct value left, right;
  if (!evaluate(run, node->arguments[0], &left) || !evaluate(run, node->arguments[1], &right)) return false;
  bool equal;
  if (!equal_values(run, node, &left, &right, &equal)) return false;
  if (node->kind == EXPRESSION_EQUAL || node->kind == EXPRESSION_UNEQUAL) {
    *result = boolean_value(equal == (node->kind == EXPRESSION_EQUAL));
    return true;
  }
  if (left.kind == VALUE_TEXT) return fail(run, node, "texts have no order; < and > compare numbers");
  double a = left.number, b = right.number;
  bool truth = node->kind == EXPRESSION_LESS         ? a < b
               : node->kind == EXPRESSION_LESS_EQUAL ? a <= b
               : node->kind == EXPRESSION_GREATER    ? a > b
                                                     : a >= b;
  *result = boolean_value(truth);
  return true;
}

static bool known_function(const char *name) {
  for (int i = 0; expression_functions[i]; i++)
    if (strcmp(name, expression_functions[i]) == 0) return true;
  return false;
}

static double call_one(const char *name, double x) {
  if (strcmp(name, "abs") == 0) return fabs(x);
  if (strcmp(name, "exp") == 0) return exp(x);
  if (strcmp(name, "log") == 0) return log(x);
  if (strcmp(name, "log2") == 0) return log2(x);
  if (strcmp(name, "log10") == 0) return log10(x);
  if (strcmp(name, "sqrt") == 0) return sqrt(x);
  if (strcmp(name, "tanh") == 0) return tanh(x);
  if (strcmp(name, "sin") == 0) return sin(x);
  if (strcmp(name, "cos") == 0) return cos(x);
  if (strcmp(name, "floor") == 0) return floor(x);
  if (strcmp(name, "ceil") == 0) return ceil(x);
  return round(x);
}

// min, max, sum, mean and logsumexp of any number of arguments.
static bool call_many(const struct evaluation *run, const struct expression_node *node, struct value *result) {
  const char *name = node->text;
  double low = INFINITY, high = -INFINITY, sum = 0, scaled = 0;
  for (int i = 0; i < node->count; i++) {
    double x;
    if (!evaluate_number(run, node->arguments[i], &x)) return false;
    if (isnan(x)) {
      low = high = sum = scaled = NAN;
      continue;
    }
    // logsumexp keeps the sum relative to the largest so far, so that nothing overflows
    if (x > high && isfinite(x))
      scaled = (isfinite(high) ? scaled * exp(high - x) : 0) + 1;
    else if (isfinite(x))
      scaled += exp(x - high);
    if (x < low) low = x;
    if (x > high) high = x;
    sum += x;
  }
  double value = sum;
  if (strcmp(name, "min") == 0) value = low;
  if (strcmp(name, "max") == 0) value = high;
  if (strcmp(name, "mean") == 0) value = sum / node->count;
  if (strcmp(name, "logsumexp") == 0) value = isfinite(high) ? high + log(scaled) : high;
  *result = number_value(value);
  return true;
}

bool expression_is_sum_over(const struct expression_node *node) {
  return node->kind == EXPRESSION_CALL && strcmp(node->text, "sum_over") == 0;
}

bool expression_has_piece(const struct expression_node *node) {
  if (node->kind == EXPRESSION_PIECE) return true;
  if (expression_is_sum_over(node)) return false;
  for (int i = 0; i < node->count; i++)
    if (expression_has_piece(node->arguments[i])) return true;
  return false;
}

static bool sum_pieces(const struct evaluation *run, const struct expression_node *node,
                       const struct rate_schedule *schedule, double step, double *sum) {
  struct rate_piece *pieces = NULL;
  size_t capacity = 0, count = rate_schedule_pieces(schedule, step, RATE_PIECE_SHARE, &pieces, &capacity);
  struct evaluation inner = *run;
  bool fine = true;
  *sum = 0;
  for (size_t i = 0; i < count && fine; i++) {
    double value;
    inner.piece = &pieces[i];
    fine = evaluate_number(&inner, node->arguments[2], &value);
    *sum += fine ? value : 0;
  }
  free(pieces);
  return fine;
}

static bool evaluate_sum_over(const struct evaluation *run, const struct expression_node *node, struct value *result) {
  if (node->count != 3)
    return fail(run, node, "sum_over takes a schedule, a step and what is to be summed, not %d argument%s", node->count,
                node->count == 1 ? "" : "s");
  struct value text;
  double step, sum = 0;
  if (!evaluate(run, node->arguments[0], &text) || !evaluate_number(run, node->arguments[1], &step)) return false;
  if (text.kind != VALUE_TEXT) return fail(run, node, "the first argument of sum_over is no text of a schedule");
  struct arena arena = {0};
  struct rate_schedule schedule;
  bool fine = rate_schedule_parse(&arena, text.text, &schedule, run->error);
  if (!fine) error_context(run->error, "the schedule");
  if (fine && !(step >= 0 && step <= schedule.end))
    fine = fail(run, node, "step %g is beyond the schedule, which has %g steps", step, schedule.end);
  fine = fine && sum_pieces(run, node, &schedule, floor(step), &sum);
  arena_free(&arena);
  *result = number_value(sum);
  return fine;
}

static bool evaluate_call(const struct evaluation *run, const struct expression_node *node, struct value *result) {
  const char *name = node->text;
  if (!known_function(name)) {
    size_t count = 0;
    while (expression_functions[count]) count++;
    const char *nearest = nearest_name(name, expression_functions, count);
    char guess[160];
    if (nearest) return fail(run, node, "unknown function '%s' (%s)", name, did_you_mean(nearest, guess));
    return fail(run, node, "unknown function '%s'", name);
  }
  bool many = strcmp(name, "min") == 0 || strcmp(name, "max") == 0 || strcmp(name, "sum") == 0 ||
              strcmp(name, "mean") == 0 || strcmp(name, "logsumexp") == 0;
  if (expression_is_sum_over(node)) return evaluate_sum_over(run, node, result);
  int wanted = strcmp(name, "pow") == 0 ? 2 : 1;
  if (many ? node->count < 1 : node->count != wanted)
    return fail(run, node, "%s takes %s%d argument%s, not %d", name, many ? "at least " : "", wanted,
                wanted == 1 ? "" : "s", node->count);
  if (many) return call_many(run, node, result);
  double x, y;
  if (!evaluate_number(run, node->arguments[0], &x)) return false;
  if (wanted == 1) {
    *result = number_value(call_one(name, x));
    return true;
  }
  if (!evaluate_number(run, node->arguments[1], &y)) return false;
  *result = number_value(pow(x, y));
  return true;
}

static bool evaluate_arithmetic(const struct evaluation *run, const struct expression_node *node,
                                struct value *result) {
  double a, b, value = NAN;
  if (!evaluate_number(run, node->arguments[0], &a) || !evaluate_number(run, node->arguments[1], &b)) return false;
  switch (node->kind) {
    case EXPRESSION_ADD:
      value = a + b;
      break;
    case EXPRESSION_SUBTRACT:
      value = a - b;
      break;
    case EXPRESSION_MULTIPLY:
      value = a * b;
      break;
    case EXPRESSION_DIVIDE:
      value = a / b;
      break;
    case EXPRESSION_MODULO:
      value = fmod(a, b);
      break;
    default:
      value = pow(a, b);
      break;
  }
  *result = number_value(value);
  return true;
}

static bool evaluate_name(const struct evaluation *run, const struct expression_node *node, struct value *result) {
  *result = run->slots[node->slot];
  if (result->kind != VALUE_MISSING) return true;
  if (node->kind == EXPRESSION_NAME) return fail(run, node, "'%s' has no value here", node->text);
  const char *quote = node->index_quoted ? "\"" : "";
  return fail(run, node, "'%s[%s%s%s]' has no value here", node->text, quote, node->index, quote);
}

static bool evaluate_membership(const struct evaluation *run, const struct expression_node *node,
                                struct value *result) {
  struct value left, right;
  if (!evaluate(run, node->arguments[0], &left)) return false;
  bool found = false;
  for (int i = 1; i < node->count && !found; i++)
    if (!evaluate(run, node->arguments[i], &right) || !equal_values(run, node, &left, &right, &found)) return false;
  *result = boolean_value(found);
  return true;
}

static bool evaluate(const struct evaluation *run, const struct expression_node *node, struct value *result) {
  double number;
  bool truth;
  switch (node->kind) {
    case EXPRESSION_NUMBER:
      *result = number_value(node->number);
      return true;
    case EXPRESSION_TEXT:
      *result = (struct value){.kind = VALUE_TEXT, .text = node->text};
      return true;
    case EXPRESSION_BOOLEAN:
      *result = boolean_value(node->number != 0);
      return true;
    case EXPRESSION_NAME:
    case EXPRESSION_INDEXED:
      return evaluate_name(run, node, result);
    case EXPRESSION_NEGATE:
      if (!evaluate_number(run, node->arguments[0], &number)) return false;
      *result = number_value(-number);
      return true;
    case EXPRESSION_NOT:
      if (!evaluate_truth(run, node->arguments[0], &truth)) return false;
      *result = boolean_value(!truth);
      return true;
    case EXPRESSION_ADD:
    case EXPRESSION_SUBTRACT:
    case EXPRESSION_MULTIPLY:
    case EXPRESSION_DIVIDE:
    case EXPRESSION_MODULO:
    case EXPRESSION_POWER:
      return evaluate_arithmetic(run, node, result);
    case EXPRESSION_EQUAL:
    case EXPRESSION_UNEQUAL:
    case EXPRESSION_LESS:
    case EXPRESSION_LESS_EQUAL:
    case EXPRESSION_GREATER:
    case EXPRESSION_GREATER_EQUAL:
      return evaluate_comparison(run, node, result);
    case EXPRESSION_AND:
    case EXPRESSION_OR:  // the second is not looked at when the first decides
      if (!evaluate_truth(run, node->arguments[0], &truth)) return false;
      if (truth == (node->kind == EXPRESSION_AND) && !evaluate_truth(run, node->arguments[1], &truth)) return false;
      *result = boolean_value(truth);
      return true;
    case EXPRESSION_IN:
      return evaluate_membership(run, node, result);
    case EXPRESSION_CONDITION:
      if (!evaluate_truth(run, node->arguments[0], &truth)) return false;
      return evaluate(run, node->arguments[truth ? 1 : 2], result);
    case EXPRESSION_PIECE:
      if (!run->piece) return fail(run, node, "%s has a value only within sum_over(schedule, step, ...)", node->text);
      *result = number_value(rate_piece_value(run->piece, (enum rate_piece_field)node->number));
      return true;
    case EXPRESSION_CALL:
      return evaluate_call(run, node, result);
  }
  return fail(run, node, "this cannot be evaluated");
}

bool expression_evaluate(const struct expression *expression, const struct value *slots, struct value *result,
                         struct error *error) {
  return evaluate(&(struct evaluation){expression, slots, error, NULL}, expression->root, result);
}

bool expression_number(const struct expression *expression, const struct value *slots, double *result,
                       struct error *error) {
  return evaluate_number(&(struct evaluation){expression, slots, error, NULL}, expression->root, result);
}

bool expression_number_of_piece(const struct expression *expression, const struct value *slots,
                                const struct rate_piece *piece, double *result, struct error *error) {
  return evaluate_number(&(struct evaluation){expression, slots, error, piece}, expression->root, result);
}

bool expression_condition(const struct expression *expression, const struct value *slots, bool *result,
                          struct error *error) {
  return evaluate_truth(&(struct evaluation){expression, slots, error, NULL}, expression->root, result);
}
