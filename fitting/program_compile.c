// Compiling a law's formula, in logarithms wherever the signs allow it.
#include <math.h>
#include <string.h>

#include "fitting/program_builder.h"

static bool positive(struct builder *builder, const struct expression_node *node) {
  return builder_sign(builder, node) == SIGN_POSITIVE;
}

// Squares and cubes, which are what laws raise signed values to, are products: pow takes many times as long.
static int emit_power(struct builder *builder, int a, int b) {
  const struct program *program = builder->program;
  double exponent = b >= 0 && program->constant[b] ? program->constants[b] : 0;
  if (exponent == 2) return builder_emit_two(builder, OPERATION_MULTIPLY, a, a);
  if (exponent == 3)
    return builder_emit_two(builder, OPERATION_MULTIPLY, a, builder_emit_two(builder, OPERATION_MULTIPLY, a, a));
  return builder_emit_two(builder, OPERATION_POWER, a, b);
}

static int compile_value(struct builder *builder, const struct expression_node *node);
static int compile_log(struct builder *builder, const struct expression_node *node);

enum { TERM_LIMIT = 16 };  // of one instruction

// Every term of a sum, or every argument of a call, is above 0.
static bool every_positive(struct builder *builder, const struct expression_node *node) {
  for (int i = 0; i < node->count; i++) {
    const struct expression_node *part = node->arguments[i];
    bool nested = part->kind == EXPRESSION_ADD || node_is_call(part, "sum");
    if (nested ? !every_positive(builder, part) : !positive(builder, part)) return false;
  }
  return true;
}

static bool is_sum(const struct expression_node *node) {
  return node->kind == EXPRESSION_ADD || node_is_call(node, "sum");
}

static size_t count_terms(const struct expression_node *node) {
  if (!is_sum(node)) return 1;
  size_t count = 0;
  for (int i = 0; i < node->count; i++) count += count_terms(node->arguments[i]);
  return count;
}

// The logarithm of every term of a sum of positive things.
static bool compile_terms(struct builder *builder, const struct expression_node *node, int *registers, size_t *count) {
  if (is_sum(node)) {
    for (int i = 0; i < node->count; i++)
      if (!compile_terms(builder, node->arguments[i], registers, count)) return false;
    return true;
  }
  registers[*count] = compile_log(builder, node);
  return registers[(*count)++] >= 0;
}

static bool is_zero(const struct builder *builder, int reg) {
  return builder->program->constant[reg] && builder->program->constants[reg] == 0;
}

// log(sum exp) of any number of registers, in groups where there are many. In a sum over a schedule 1 + exp(x) is what
// most of the time goes into.
static int emit_logsumexp(struct builder *builder, int *registers, size_t count) {
  if (builder->outer && count == 2 && is_zero(builder, registers[0]))
    return builder_emit_one(builder, OPERATION_SOFTPLUS, registers[1]);
  while (count > 1) {
    size_t groups = 0;
    for (size_t first = 0; first < count; first += TERM_LIMIT) {
      size_t size = count - first < TERM_LIMIT ? count - first : TERM_LIMIT;
      int sum = registers[first];
      if (size > 1) sum = builder_emit(builder, OPERATION_LOGSUMEXP, 0, 0, 0, (int)size, registers + first);
      registers[groups++] = sum;
    }
    count = groups;
  }
  return registers[0];
}

static int log_of_sum(struct builder *builder, const struct expression_node *node) {
  size_t count = 0;
  int *registers = arena_array(builder->arena, count_terms(node), sizeof *registers);
  return compile_terms(builder, node, registers, &count) ? emit_logsumexp(builder, registers, count) : -1;
}

static int chain(struct builder *builder, const struct expression_node *node, enum operation operation,
                 bool logarithm) {
  int reg = -1;
  for (int i = 0; i < node->count; i++) {
    int next = logarithm ? compile_log(builder, node->arguments[i]) : compile_value(builder, node->arguments[i]);
    reg = i ? builder_emit_two(builder, operation, reg, next) : next;
    if (reg < 0) return -1;
  }
  return reg;
}

// The logarithm of something that is positive.
static int compile_log(struct builder *builder, const struct expression_node *node) {
  if (builder_is_outside(builder, node)) return builder_input(builder, compile_log(builder->outer, node));
  if (!builder_has_parameter(builder, node)) return builder_log_data(builder, node);
  struct expression_node **arguments = node->arguments;
  bool sure = positive(builder, node);
  if (!sure) return builder_emit_one(builder, OPERATION_LOG, compile_value(builder, node));
  switch (node->kind) {
    case EXPRESSION_NAME:
    case EXPRESSION_INDEXED:
      if (builder->law->parameters[law_find_parameter(builder->law, node->text)].positive)
        return builder_leaf(builder, node);
      return builder_emit_one(builder, OPERATION_LOG, builder_leaf(builder, node));
    case EXPRESSION_ADD:
      if (!every_positive(builder, node)) return builder_emit_one(builder, OPERATION_LOG, compile_value(builder, node));
      return log_of_sum(builder, node);
    case EXPRESSION_MULTIPLY:
      return chain(builder, node, OPERATION_ADD, true);
    case EXPRESSION_DIVIDE:
      return chain(builder, node, OPERATION_SUBTRACT, true);
    case EXPRESSION_POWER:
      return builder_emit_two(builder, OPERATION_MULTIPLY, compile_value(builder, arguments[1]),
                              compile_log(builder, arguments[0]));
    case EXPRESSION_CONDITION: {
      int condition = compile_value(builder, arguments[0]), yes = compile_log(builder, arguments[1]);
      return builder_emit(builder, OPERATION_SELECT, condition, yes, compile_log(builder, arguments[2]), 0, NULL);
    }
    default:
      break;
  }
  if (node_is_call(node, "exp")) return compile_value(builder, arguments[0]);
  if (node_is_call(node, "pow"))
    return builder_emit_two(builder, OPERATION_MULTIPLY, compile_value(builder, arguments[1]),
                            compile_log(builder, arguments[0]));
  if (node_is_call(node, "sqrt"))
    return builder_emit_two(builder, OPERATION_MULTIPLY, builder_constant(builder, 0.5),
                            compile_log(builder, arguments[0]));
  if (every_positive(builder, node)) {
    if (node_is_call(node, "sum")) return log_of_sum(builder, node);
    if (node_is_call(node, "min")) return chain(builder, node, OPERATION_MIN, true);
    if (node_is_call(node, "max")) return chain(builder, node, OPERATION_MAX, true);
  }
  return builder_emit_one(builder, OPERATION_LOG, compile_value(builder, node));
}

// Whether a product or quotient holds a power or a positive parameter, so that logarithms are the better way.
static bool wants_log(struct builder *builder, const struct expression_node *node) {
  if (node->kind == EXPRESSION_MULTIPLY || node->kind == EXPRESSION_DIVIDE)
    return wants_log(builder, node->arguments[0]) || wants_log(builder, node->arguments[1]);
  return builder_has_parameter(builder, node) &&
         (node->kind == EXPRESSION_POWER || node_is_call(node, "pow") || node_is_call(node, "exp"));
}

static int compile_logsumexp(struct builder *builder, const struct expression_node *node) {
  if (node->count < 1) {
    error_set(builder->error, EXIT_USAGE_ERROR, "logsumexp takes at least one argument");
    return -1;
  }
  int *registers = arena_array(builder->arena, (size_t)node->count, sizeof *registers);
  for (int i = 0; i < node->count; i++) {
    registers[i] = compile_value(builder, node->arguments[i]);
    if (registers[i] < 0) return -1;
  }
  return emit_logsumexp(builder, registers, (size_t)node->count);
}

static int compile_call(struct builder *builder, const struct expression_node *node) {
  if (expression_is_sum_over(node)) return builder_sum(builder, node);
  static const struct {
    const char *name;
    enum operation operation;
  } ones[] = {{"abs", OPERATION_ABS},   {"sqrt", OPERATION_SQRT},   {"tanh", OPERATION_TANH},
              {"sin", OPERATION_SIN},   {"cos", OPERATION_COS},     {"floor", OPERATION_FLOOR},
              {"ceil", OPERATION_CEIL}, {"round", OPERATION_ROUND}, {"exp", OPERATION_EXP}};
  const char *name = node->text;
  bool many = node_is_call(node, "sum") || node_is_call(node, "mean") || node_is_call(node, "min") ||
              node_is_call(node, "max") || node_is_call(node, "logsumexp");
  int wanted = node_is_call(node, "pow") ? 2 : 1;
  if (many ? node->count < 1 : node->count != wanted) {
    error_set(builder->error, EXIT_USAGE_ERROR, "%s takes %s%d argument%s, not %d", name, many ? "at least " : "",
              wanted, wanted == 1 ? "" : "s", node->count);
    return -1;
  }
  if (node_is_call(node, "logsumexp")) return compile_logsumexp(builder, node);
  if (node_is_call(node, "sum")) return chain(builder, node, OPERATION_ADD, false);
  if (node_is_call(node, "min")) return chain(builder, node, OPERATION_MIN, false);
  if (node_is_call(node, "max")) return chain(builder, node, OPERATION_MAX, false);
  if (node_is_call(node, "mean"))
    return builder_emit_two(builder, OPERATION_DIVIDE, chain(builder, node, OPERATION_ADD, false),
                            builder_constant(builder, node->count));
  if (node_is_call(node, "pow"))
    return emit_power(builder, compile_value(builder, node->arguments[0]), compile_value(builder, node->arguments[1]));
  double scale = node_is_call(node, "log")     ? 1
                 : node_is_call(node, "log2")  ? log(2)
                 : node_is_call(node, "log10") ? log(10)
                                               : 0;
  if (scale > 0) {
    int reg = compile_log(builder, node->arguments[0]);
    return scale == 1 ? reg : builder_emit_two(builder, OPERATION_DIVIDE, reg, builder_constant(builder, scale));
  }
  int argument = compile_value(builder, node->arguments[0]);
  for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
    if (strcmp(ones[i].name, name) == 0) return builder_emit_one(builder, ones[i].operation, argument);
  error_set(builder->error, EXIT_USAGE_ERROR, "unknown function '%s'", name);
  return -1;
}

static int compile_in(struct builder *builder, const struct expression_node *node) {
  int value = compile_value(builder, node->arguments[0]), any = -1;
  for (int i = 1; i < node->count; i++) {
    int equal = builder_emit_two(builder, OPERATION_EQUAL, value, compile_value(builder, node->arguments[i]));
    any = i == 1 ? equal : builder_emit_two(builder, OPERATION_OR, any, equal);
  }
  return any;
}

static int compile_value(struct builder *builder, const struct expression_node *node) {
  if (node->kind == EXPRESSION_TEXT) {
    error_set(builder->error, EXIT_USAGE_ERROR, "the text \"%s\" is where a number is needed", node->text);
    return -1;
  }
  if (builder_is_outside(builder, node)) return builder_input(builder, compile_value(builder->outer, node));
  if (!builder_has_parameter(builder, node)) return builder_data(builder, node);
  if (node->kind == EXPRESSION_NAME || node->kind == EXPRESSION_INDEXED) {
    int leaf = builder_leaf(builder, node);
    bool exponent = builder->law->parameters[law_find_parameter(builder->law, node->text)].positive;
    return exponent ? builder_emit_one(builder, OPERATION_EXP, leaf) : leaf;
  }
  struct expression_node **arguments = node->arguments;
  if (wants_log(builder, node) && positive(builder, node))
    return builder_emit_one(builder, OPERATION_EXP, compile_log(builder, node));
  if (node->kind == EXPRESSION_CALL) return compile_call(builder, node);
  if (node->kind == EXPRESSION_IN) return compile_in(builder, node);
  int a = compile_value(builder, arguments[0]), b = node->count > 1 ? compile_value(builder, arguments[1]) : a;
  if (a < 0 || b < 0) return -1;
  switch (node->kind) {
    case EXPRESSION_NEGATE:
      return builder_emit_one(builder, OPERATION_NEGATE, a);
    case EXPRESSION_NOT:
      return builder_emit_one(builder, OPERATION_NOT, a);
    case EXPRESSION_ADD:
      return builder_emit_two(builder, OPERATION_ADD, a, b);
    case EXPRESSION_SUBTRACT:
      return builder_emit_two(builder, OPERATION_SUBTRACT, a, b);
    case EXPRESSION_MULTIPLY:
      return builder_emit_two(builder, OPERATION_MULTIPLY, a, b);
    case EXPRESSION_DIVIDE:
      return builder_emit_two(builder, OPERATION_DIVIDE, a, b);
    case EXPRESSION_MODULO:
      return builder_emit_two(builder, OPERATION_MODULO, a, b);
    case EXPRESSION_POWER:
      return emit_power(builder, a, b);
    case EXPRESSION_EQUAL:
      return builder_emit_two(builder, OPERATION_EQUAL, a, b);
    case EXPRESSION_UNEQUAL:
      return builder_emit_two(builder, OPERATION_UNEQUAL, a, b);
    case EXPRESSION_LESS:
      return builder_emit_two(builder, OPERATION_LESS, a, b);
    case EXPRESSION_LESS_EQUAL:
      return builder_emit_two(builder, OPERATION_LESS_EQUAL, a, b);
    case EXPRESSION_GREATER:
      return builder_emit_two(builder, OPERATION_LESS, b, a);
    case EXPRESSION_GREATER_EQUAL:
      return builder_emit_two(builder, OPERATION_LESS_EQUAL, b, a);
    case EXPRESSION_AND:
      return builder_emit_two(builder, OPERATION_AND, a, b);
    case EXPRESSION_OR:
      return builder_emit_two(builder, OPERATION_OR, a, b);
    case EXPRESSION_CONDITION:
      return builder_emit(builder, OPERATION_SELECT, a, b, compile_value(builder, arguments[2]), 0, NULL);
    default:
      break;
  }
  error_set(builder->error, EXIT_USAGE_ERROR, "the formula cannot be compiled");
  return -1;
}

int builder_value(struct builder *builder, const struct expression_node *node) { return compile_value(builder, node); }

// Each row's result times its scale, so that residuals, derivatives and objective are all in units of it.
static int scaled_result(struct builder *builder) {
  struct program *program = builder->program;
  double *data = arena_array(builder->arena, program->padded + 1, sizeof *data);
  for (size_t i = 0; i < program->padded; i++) data[i] = builder->rows.scale[i < program->rows ? i : 0];
  return builder_emit_two(builder, OPERATION_MULTIPLY, program->result,
                          builder_column(builder, "scale of the row", data));
}

// Marks the elements of a leaf; returns how many there are.
static int mark_leaf(const struct program *program, const struct leaf *leaf, bool *marked) {
  int count = 0;
  for (size_t row = 0; row < (leaf->index ? program->rows : 1); row++) {
    int element = leaf->index ? leaf->index[row] : leaf->element;
    count += !marked[element];
    marked[element] = true;
  }
  return count;
}

// The leaf of most elements of those whose elements no other leaf reads.
static void find_apart(struct arena *arena, struct program *program) {
  size_t elements = (size_t)program->element_count + 1;
  bool *mine = arena_array(arena, elements, sizeof *mine), *others = arena_array(arena, elements, sizeof *others);
  int most = 1;
  for (int l = 0; l < program->leaf_count; l++) {
    if (!program->leaves[l].index) continue;
    memset(mine, 0, elements * sizeof *mine);
    memset(others, 0, elements * sizeof *others);
    int count = mark_leaf(program, &program->leaves[l], mine);
    for (int m = 0; m < program->leaf_count; m++)
      if (m != l) mark_leaf(program, &program->leaves[m], others);
    for (size_t e = 0; e < elements; e++)
      if (mine[e] && others[e]) count = 0;
    if (count <= most) continue;
    most = count;
    if (!program->apart) program->apart = arena_array(arena, elements, sizeof *program->apart);
    memcpy(program->apart, mine, elements * sizeof *mine);
  }
}

struct program *program_compile(struct arena *arena, const struct law *law, const struct table *table,
                                struct row_list rows, const struct element *elements, int element_count,
                                enum law_residual residual, struct error *error) {
  struct program *program = arena_alloc(arena, sizeof *program);
  program->rows = rows.count;
  program->padded = (rows.count + PROGRAM_LANES - 1) / PROGRAM_LANES * PROGRAM_LANES;
  program->element_count = element_count;
  struct builder builder = {.arena = arena,
                            .law = law,
                            .table = table,
                            .rows = rows,
                            .elements = elements,
                            .element_count = element_count,
                            .program = program,
                            .error = error};
  const struct expression_node *root = law->formula->root;
  builder_find_facts(&builder, root);
  program->result = residual == RESIDUAL_LOG ? compile_log(&builder, root) : compile_value(&builder, root);
  if (program->result >= 0 && rows.scale) program->result = scaled_result(&builder);
  if (program->result < 0) {
    error_set(error, EXIT_USAGE_ERROR, "the formula cannot be compiled");
    error_context(error, "law %s", law->name);
    return NULL;
  }
  find_apart(arena, program);
  return program;
}
