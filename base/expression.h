// The one expression language: `where`, `set`, `holdout`, `--where`, `claims` and law formulas.
//
//   numbers 1, 2.5e-3     text "w4a4" or 'w4a4'     booleans true false
//   names   train.lr, N (dotted paths; N, D, C are read as parameters, tokens, flops)
//           `val/loss` (backquotes around a name that is no word)
//   indexed eff[format], eff[w4a4], eff["2:4+int4"]
//   + - * / % ^ (right associative; ** is the same), unary -, parentheses
//   == != < <= > >=, a in [x, y, z], and or not (also && || !), condition ? a : b
//   functions abs exp log log2 log10 sqrt tanh sin cos min max floor ceil round pow logsumexp sum mean
//             (whoever evaluates may know more)
//   sum_over(schedule, step, BODY): the sum of BODY over the pieces of a schedule of the learning rate (a text, see
//             base/rate_schedule.h) up to a step. Within BODY piece.lr, piece.drop, piece.steps, piece.since and
//             piece.area are of the piece; all other names are what they are outside.
//
// Parsing gives a tree and the list of names in it; the caller says what each name is by giving its value.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

enum value_kind { VALUE_MISSING, VALUE_NUMBER, VALUE_TEXT, VALUE_BOOLEAN };
struct value {
  enum value_kind kind;
  double number;     // number, or boolean as 0 and 1
  const char *text;  // text
};
// Of one kind and equal; missing values are equal.
bool value_equal(struct value a, struct value b);

enum expression_kind {
  EXPRESSION_NUMBER,   // number
  EXPRESSION_TEXT,     // text
  EXPRESSION_BOOLEAN,  // number 0 or 1
  EXPRESSION_NAME,     // text, slot
  EXPRESSION_INDEXED,  // text[index]: slot of the pair (text, index); `index` is a bare name or quoted text
  EXPRESSION_NEGATE,
  EXPRESSION_NOT,
  EXPRESSION_ADD,
  EXPRESSION_SUBTRACT,
  EXPRESSION_MULTIPLY,
  EXPRESSION_DIVIDE,
  EXPRESSION_MODULO,
  EXPRESSION_POWER,
  EXPRESSION_EQUAL,
  EXPRESSION_UNEQUAL,
  EXPRESSION_LESS,
  EXPRESSION_LESS_EQUAL,
  EXPRESSION_GREATER,
  EXPRESSION_GREATER_EQUAL,
  EXPRESSION_AND,
  EXPRESSION_OR,
  EXPRESSION_IN,         // first argument in the others
  EXPRESSION_CONDITION,  // condition, then, else
  EXPRESSION_PIECE,      // text = "piece.lr", number = its enum rate_piece_field: within the body of a sum_over
  EXPRESSION_CALL,       // text = function name
};

struct expression_node {
  enum expression_kind kind;
  int offset;  // byte offset in the source
  double number;
  const char *text;
  const char *index;  // of an indexed name
  bool index_quoted;
  int slot;  // names: number in the expression's list
  int count;
  struct expression_node **arguments;
};

struct expression_name {
  const char *name;   // canonical
  const char *index;  // or NULL
  bool index_quoted;
  int offset;  // first use
};

struct expression {
  const char *source;
  struct expression_node *root;
  struct expression_name *names;
  int name_count;
};

// parameters, tokens, flops for N, D, C; else the name itself.
const char *column_canonical(const char *name);

// NULL and an error ("column 7: ..." with what was expected) when the text is not an expression. At most 64 KiB of
// text and 200 levels of nesting.
struct expression *expression_parse(struct arena *arena, const char *text, struct error *error);

// The value for the given values of the names (names[i] has slots[i]). Errors: a missing value, text where a number is
// needed, an unknown function, wrong number of arguments. Division by zero and the like give IEEE results.
bool expression_evaluate(const struct expression *expression, const struct value *slots, struct value *result,
                         struct error *error);
// The same of what a sum_over sums, for one of its pieces; the result must be a number.
struct rate_piece;
bool expression_number_of_piece(const struct expression *expression, const struct value *slots,
                                const struct rate_piece *piece, double *result, struct error *error);
// The same, and the result must be a number / is read as a condition.
bool expression_number(const struct expression *expression, const struct value *slots, double *result,
                       struct error *error);
bool expression_condition(const struct expression *expression, const struct value *slots, bool *result,
                          struct error *error);
// The text as the values of the name `name` are spelt ("w4" for format and "int4"), in the arena; itself where there is
// one spelling only.
typedef const char *expression_spell(void *context, const char *name, const char *text, struct arena *arena);
// Rewrites every text that is compared with a name by ==, != or in. `arena` must live as long as the expression.
void expression_spell_texts(struct expression *expression, struct arena *arena, expression_spell *how, void *context);
// Whether a node is a sum over a schedule; expression_evaluate and the programs of laws know these.
bool expression_is_sum_over(const struct expression_node *node);
// Whether something of a piece is in the node, outside the body of a sum_over.
bool expression_has_piece(const struct expression_node *node);
// The known functions, for "did you mean"; NULL-terminated.
extern const char *const expression_functions[];
