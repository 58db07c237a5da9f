// Compiling a law's formula, in logarithms wherever the signs allow it.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/program_internal.h"
#include "fitting/table_internal.h"

enum { REGISTER_LIMIT = 20000 };

struct builder {
  struct arena *arena;
  const struct law *law;
  const struct table *table;
  struct row_list rows;
  const struct element *elements;
  int element_count;
  struct program *program;
  int register_capacity, instruction_capacity;
  const char **keys;    // of registers that hold columns or leaves: to find them again
  bool *varies;         // of registers: another value in every row
  struct facts *facts;  // of every node of the formula, a hash table
  size_t facts_mask;
  struct error *error;
};

// What is known of a value whatever the parameters are.
enum sign { SIGN_UNKNOWN, SIGN_NOT_NEGATIVE, SIGN_POSITIVE };

// What is asked of a node at every level above it: found once, so that compiling takes time in proportion to the
// formula's length.
struct facts {
  const struct expression_node *node;
  bool has_parameter, sign_known;
  enum sign sign;
};

// ---- facts of nodes ----

static struct facts *facts_of(const struct builder *builder, const struct expression_node *node) {
  size_t place = ((uintptr_t)node / sizeof(void *) * 0x9E3779B97F4A7C15u) >> 20 & builder->facts_mask;
  while (builder->facts[place].node && builder->facts[place].node != node) place = (place + 1) & builder->facts_mask;
  return &builder->facts[place];
}

static bool has_parameter(const struct builder *builder, const struct expression_node *node) {
  return facts_of(builder, node)->has_parameter;
}

static size_t count_nodes(const struct expression_node *node) {
  size_t count = 1;
  for (int i = 0; i < node->count; i++) count += count_nodes(node->arguments[i]);
  return count;
}

static bool find_parameters(struct builder *builder, const struct expression_node *node) {
  bool found = (node->kind == EXPRESSION_NAME || node->kind == EXPRESSION_INDEXED) &&
               law_find_parameter(builder->law, node->text) >= 0;
  for (int i = 0; i < node->count; i++) found |= find_parameters(builder, node->arguments[i]);
  *facts_of(builder, node) = (struct facts){.node = node, .has_parameter = found};
  return found;
}

static void find_facts(struct builder *builder, const struct expression_node *root) {
  size_t capacity = 16, count = count_nodes(root);
  while (capacity < 2 * count) capacity *= 2;
  builder->facts = arena_array(builder->arena, capacity, sizeof *builder->facts);
  builder->facts_mask = capacity - 1;
  find_parameters(builder, root);
}

// ---- registers ----

static int new_registers(struct builder *builder, int count, const char *key) {
  struct program *program = builder->program;
  int first = program->register_count, wanted = first + count;
  if (wanted > REGISTER_LIMIT) {
    error_set(builder->error, EXIT_USAGE_ERROR, "the formula is too large");
    return -1;
  }
  if (wanted > builder->register_capacity) {
    size_t old = (size_t)first, capacity = 2 * (size_t)wanted + 32;
    program->columns = arena_grow(builder->arena, program->columns, old, capacity, sizeof *program->columns);
    program->active = arena_grow(builder->arena, program->active, old, capacity, sizeof *program->active);
    program->constant = arena_grow(builder->arena, program->constant, old, capacity, sizeof *program->constant);
    program->constants = arena_grow(builder->arena, program->constants, old, capacity, sizeof *program->constants);
    builder->keys = arena_grow(builder->arena, builder->keys, old, capacity, sizeof *builder->keys);
    builder->varies = arena_grow(builder->arena, builder->varies, old, capacity, sizeof *builder->varies);
    builder->register_capacity = (int)capacity;
  }
  program->register_count = wanted;
  builder->keys[first] = key;
  return first;
}

static int find_key(const struct builder *builder, const char *key) {
  for (int reg = 0; reg < builder->program->register_count; reg++)
    if (builder->keys[reg] && strcmp(builder->keys[reg], key) == 0) return reg;
  return -1;
}

static int constant_register(struct builder *builder, double value) {
  for (int reg = 0; reg < builder->program->register_count; reg++)
    if (builder->program->constant[reg] && memcmp(&builder->program->constants[reg], &value, sizeof value) == 0)
      return reg;
  int reg = new_registers(builder, 1, NULL);
  if (reg < 0) return -1;
  builder->program->constant[reg] = true;
  builder->program->constants[reg] = value;
  return reg;
}

// Adds an instruction, or finds the one that does the same. Operands below 0 are errors passed on.
static int emit(struct builder *builder, enum operation operation, int a, int b, int c, int count,
                const int *operands) {
  struct program *program = builder->program;
  if (a < 0 || b < 0 || c < 0) return -1;
  for (int k = 0; k < count; k++)
    if (operands[k] < 0) return -1;
  for (int k = 0; k < program->instruction_count; k++) {
    const struct instruction *known = &program->instructions[k];
    if (known->operation == operation && known->a == a && known->b == b && known->c == c && known->count == count &&
        (!count || memcmp(known->operands, operands, (size_t)count * sizeof *operands) == 0))
      return known->out;
  }
  struct instruction made = {.operation = operation, .a = a, .b = b, .c = c, .count = count};
  made.out = new_registers(builder, 1 + count, NULL);
  if (made.out < 0) return -1;
  if (program->instruction_count == builder->instruction_capacity) {
    int capacity = 2 * builder->instruction_capacity + 16;
    program->instructions = arena_grow(builder->arena, program->instructions, (size_t)program->instruction_count,
                                       (size_t)capacity, sizeof *program->instructions);
    builder->instruction_capacity = capacity;
  }
  made.operands = arena_array(builder->arena, (size_t)count + 1, sizeof *made.operands);
  if (count) {
    memcpy(made.operands, operands, (size_t)count * sizeof *operands);
    made.a = made.b = made.c = operands[0];
    for (int k = 0; k < count; k++) {
      program->active[made.out] |= program->active[operands[k]];
      builder->varies[made.out] |= builder->varies[operands[k]];
    }
  } else {
    program->active[made.out] = program->active[a] || program->active[b] || program->active[c];
    builder->varies[made.out] = builder->varies[a] || builder->varies[b] || builder->varies[c];
  }
  made.uniform = !builder->varies[made.out];
  program->instructions[program->instruction_count++] = made;
  return made.out;
}

static int emit_one(struct builder *builder, enum operation operation, int a) {
  return emit(builder, operation, a, a, a, 0, NULL);
}

static int emit_two(struct builder *builder, enum operation operation, int a, int b) {
  return emit(builder, operation, a, b, b, 0, NULL);
}

// Squares and cubes, which are what laws raise signed values to, are products: pow takes many times as long.
static int emit_power(struct builder *builder, int a, int b) {
  const struct program *program = builder->program;
  double exponent = b >= 0 && program->constant[b] ? program->constants[b] : 0;
  if (exponent == 2) return emit_two(builder, OPERATION_MULTIPLY, a, a);
  if (exponent == 3) return emit_two(builder, OPERATION_MULTIPLY, a, emit_two(builder, OPERATION_MULTIPLY, a, a));
  return emit_two(builder, OPERATION_POWER, a, b);
}

// ---- leaves and columns ----

static int find_element(const struct builder *builder, int parameter, const char *category) {
  for (int e = 0; e < builder->element_count; e++) {
    const struct element *element = &builder->elements[e];
    if (element->parameter != parameter || !element->category != !category) continue;
    if (!category || strcmp(element->category, category) == 0) return element->tied ? element->tied_to : e;
  }
  return -1;
}

static int add_leaf(struct builder *builder, const char *key, int element, const int *index) {
  struct program *program = builder->program;
  if (program->leaf_count == PROGRAM_LEAVES) {
    error_set(builder->error, EXIT_USAGE_ERROR, "the formula has more than %d parameters", PROGRAM_LEAVES);
    return -1;
  }
  int reg = new_registers(builder, 1, key);
  if (reg < 0) return -1;
  program->active[reg] = true;
  builder->varies[reg] = index != NULL;
  program->leaves = arena_grow(builder->arena, program->leaves, (size_t)program->leaf_count,
                               (size_t)program->leaf_count + 1, sizeof *program->leaves);
  program->leaves[program->leaf_count++] = (struct leaf){.reg = reg, .element = element, .index = index};
  return reg;
}

// A leaf that another parameter is tied to, in the coordinates of that one.
static int tied_register(struct builder *builder, int parameter, int leaf, int element) {
  bool logarithmic = builder->elements[element].logarithmic, wanted = builder->law->parameters[parameter].positive;
  if (leaf < 0 || logarithmic == wanted) return leaf;
  return emit_one(builder, wanted ? OPERATION_LOG : OPERATION_EXP, leaf);
}

// The register of a parameter in internal coordinates.
static int leaf_register(struct builder *builder, const struct expression_node *node) {
  const struct program *program = builder->program;
  int parameter = law_find_parameter(builder->law, node->text);
  bool by_column = node->kind == EXPRESSION_INDEXED && !node->index_quoted;
  const char *key =
      arena_format(builder->arena, "leaf %s[%s%s]", node->text, by_column ? "by " : "", node->index ? node->index : "");
  int known = find_key(builder, key);
  if (known >= 0 && by_column) return known;
  if (!by_column) {
    int element = find_element(builder, parameter, node->index);
    if (known >= 0) return tied_register(builder, parameter, known, element);
    if (element >= 0) return tied_register(builder, parameter, add_leaf(builder, key, element, NULL), element);
    error_set(builder->error, EXIT_USAGE_ERROR, "no row has the category of %s[\"%s\"]", node->text, node->index);
    return -1;
  }
  int column = table_find(builder->table, node->index);
  int *index = arena_array(builder->arena, program->padded + 1, sizeof *index);
  for (size_t i = 0; i < program->padded; i++) {
    size_t row = builder->rows.rows[i < program->rows ? i : 0];
    struct value value = table_value(builder->table, (size_t)column, row);
    char number[32];
    const char *category = value.text;
    if (value.kind == VALUE_NUMBER) {
      number_shortest(value.number, number);
      category = number;
    }
    index[i] = category ? find_element(builder, parameter, category) : -1;
    if (index[i] < 0) {
      error_set(builder->error, EXIT_USAGE_ERROR, "parameter %s has no value for %s = %s (row %s)", node->text,
                node->index, category ? category : "(missing)", builder->table->row_names[row]);
      return -1;
    }
  }
  return add_leaf(builder, key, -1, index);
}

static void node_key(struct text *out, const struct expression_node *node) {
  char number[32];
  text_format(out, "(%d ", (int)node->kind);
  if (node->kind == EXPRESSION_NUMBER || node->kind == EXPRESSION_BOOLEAN) {
    number_shortest(node->number, number);
    text_add(out, number);
  }
  if (node->text) text_format(out, "'%s'", node->text);
  for (int i = 0; i < node->count; i++) node_key(out, node->arguments[i]);
  text_char(out, ')');
}

static int column_register(struct builder *builder, const char *key, const double *data) {
  int reg = new_registers(builder, 1, key);
  if (reg < 0) return -1;
  builder->program->columns[reg] = data;
  builder->varies[reg] = true;
  return reg;
}

// A part of the formula without parameters, computed for every row.
static int data_register(struct builder *builder, const struct expression_node *node) {
  if (node->kind == EXPRESSION_NUMBER) return constant_register(builder, node->number);
  struct program *program = builder->program;
  struct text text = {0};
  node_key(&text, node);
  const char *key = arena_string(builder->arena, text_string(&text));
  text_free(&text);
  int known = find_key(builder, key);
  if (known >= 0) return known;
  const struct expression *expression = expression_from_node(builder->arena, node);
  int *columns = arena_array(builder->arena, (size_t)expression->name_count + 1, sizeof *columns);
  struct value *slots = arena_array(builder->arena, (size_t)expression->name_count + 1, sizeof *slots);
  if (!table_columns_of(builder->table, expression, "the law's formula", columns, builder->error)) return -1;
  double *data = arena_array(builder->arena, program->padded + 1, sizeof *data);
  bool same = true;
  for (size_t i = 0; i < program->rows; i++) {
    table_slots(builder->table, expression, columns, builder->rows.rows[i], slots);
    if (!expression_number(expression, slots, &data[i], builder->error)) {
      error_context(builder->error, "formula, row %s", builder->table->row_names[builder->rows.rows[i]]);
      return -1;
    }
    same &= data[i] == data[0];
  }
  if (same && !expression->name_count) return constant_register(builder, data[0]);
  for (size_t i = program->rows; i < program->padded; i++) data[i] = data[0];
  return column_register(builder, key, data);
}

static int log_data_register(struct builder *builder, const struct expression_node *node) {
  struct program *program = builder->program;
  int plain = data_register(builder, node);
  if (plain < 0) return -1;
  if (program->constant[plain]) return constant_register(builder, log(program->constants[plain]));
  const char *key = arena_format(builder->arena, "log %s", builder->keys[plain]);
  int known = find_key(builder, key);
  if (known >= 0) return known;
  double *data = arena_array(builder->arena, program->padded + 1, sizeof *data);
  for (size_t i = 0; i < program->padded; i++) data[i] = log(program->columns[plain][i]);
  return column_register(builder, key, data);
}

// ---- signs ----

static bool is_call(const struct expression_node *node, const char *name) {
  return node->kind == EXPRESSION_CALL && strcmp(node->text, name) == 0;
}

static enum sign sign_of(struct builder *builder, const struct expression_node *node);

static enum sign lowest_sign(struct builder *builder, const struct expression_node *node, int from) {
  enum sign lowest = SIGN_POSITIVE;
  for (int i = from; i < node->count && lowest; i++) {
    enum sign sign = sign_of(builder, node->arguments[i]);
    if (sign < lowest) lowest = sign;
  }
  return lowest;
}

static enum sign highest_sign(struct builder *builder, const struct expression_node *node) {
  enum sign highest = SIGN_UNKNOWN;
  for (int i = 0; i < node->count; i++) {
    enum sign sign = sign_of(builder, node->arguments[i]);
    if (sign > highest) highest = sign;
  }
  return highest;
}

static enum sign sign_of_data(struct builder *builder, const struct expression_node *node) {
  struct error error = {0}, *outer = builder->error;
  builder->error = &error;  // what cannot be computed is reported when it is compiled
  int reg = node->kind == EXPRESSION_TEXT ? -1 : data_register(builder, node);
  builder->error = outer;
  if (reg < 0) return SIGN_UNKNOWN;
  const struct program *program = builder->program;
  enum sign lowest = SIGN_POSITIVE;
  for (size_t i = 0; i < program->rows; i++) {
    double value = program->constant[reg] ? program->constants[reg] : program->columns[reg][i];
    if (!(value >= 0)) return SIGN_UNKNOWN;
    if (value == 0) lowest = SIGN_NOT_NEGATIVE;
  }
  return lowest;
}

// 1 - exp(-x) and 1 - exp(-x / y), the shape of saturation.
static bool saturates(struct builder *builder, const struct expression_node *node) {
  if (node->kind != EXPRESSION_SUBTRACT || node->arguments[0]->kind != EXPRESSION_NUMBER ||
      node->arguments[0]->number < 1 || !is_call(node->arguments[1], "exp") || node->arguments[1]->count != 1)
    return false;
  const struct expression_node *exponent = node->arguments[1]->arguments[0];
  if (exponent->kind == EXPRESSION_NEGATE) return sign_of(builder, exponent->arguments[0]) != SIGN_UNKNOWN;
  return (exponent->kind == EXPRESSION_DIVIDE || exponent->kind == EXPRESSION_MULTIPLY) &&
         exponent->arguments[0]->kind == EXPRESSION_NEGATE &&
         sign_of(builder, exponent->arguments[0]->arguments[0]) != SIGN_UNKNOWN &&
         sign_of(builder, exponent->arguments[1]) != SIGN_UNKNOWN;
}

static enum sign sign_of_parameter(const struct builder *builder, const struct expression_node *node) {
  const struct law_parameter *parameter = &builder->law->parameters[law_find_parameter(builder->law, node->text)];
  return parameter->positive || parameter->low > 0 ? SIGN_POSITIVE
         : parameter->low >= 0                     ? SIGN_NOT_NEGATIVE
                                                   : SIGN_UNKNOWN;
}

static enum sign find_sign(struct builder *builder, const struct expression_node *node) {
  if (!has_parameter(builder, node)) return sign_of_data(builder, node);
  switch (node->kind) {
    case EXPRESSION_NAME:
    case EXPRESSION_INDEXED:
      return sign_of_parameter(builder, node);
    case EXPRESSION_ADD:
      return lowest_sign(builder, node, 0) ? highest_sign(builder, node) : SIGN_UNKNOWN;
    case EXPRESSION_MULTIPLY:
      return lowest_sign(builder, node, 0);
    case EXPRESSION_DIVIDE:
      return lowest_sign(builder, node, 0);
    case EXPRESSION_SUBTRACT:
      return saturates(builder, node) ? SIGN_NOT_NEGATIVE : SIGN_UNKNOWN;
    case EXPRESSION_POWER:
      return sign_of(builder, node->arguments[0]);
    case EXPRESSION_CONDITION:
      return lowest_sign(builder, node, 1);
    default:
      break;
  }
  if (is_call(node, "exp")) return SIGN_POSITIVE;
  if (is_call(node, "pow") && node->count == 2) return sign_of(builder, node->arguments[0]);
  if (is_call(node, "sqrt") || is_call(node, "tanh") || is_call(node, "min")) return lowest_sign(builder, node, 0);
  if (is_call(node, "max")) return highest_sign(builder, node);
  if (is_call(node, "sum") || is_call(node, "mean"))
    return lowest_sign(builder, node, 0) ? highest_sign(builder, node) : SIGN_UNKNOWN;
  return SIGN_UNKNOWN;
}

static enum sign sign_of(struct builder *builder, const struct expression_node *node) {
  struct facts *facts = facts_of(builder, node);
  if (!facts->sign_known) {
    facts->sign = find_sign(builder, node);
    facts->sign_known = true;
  }
  return facts->sign;
}

static bool positive(struct builder *builder, const struct expression_node *node) {
  return sign_of(builder, node) == SIGN_POSITIVE;
}

// ---- the two ways to compile a node ----

static int compile_value(struct builder *builder, const struct expression_node *node);
static int compile_log(struct builder *builder, const struct expression_node *node);

enum { TERM_LIMIT = 16 };  // of one instruction

// Every term of a sum, or every argument of a call, is above 0.
static bool every_positive(struct builder *builder, const struct expression_node *node) {
  for (int i = 0; i < node->count; i++) {
    const struct expression_node *part = node->arguments[i];
    bool nested = part->kind == EXPRESSION_ADD || is_call(part, "sum");
    if (nested ? !every_positive(builder, part) : !positive(builder, part)) return false;
  }
  return true;
}

static bool is_sum(const struct expression_node *node) { return node->kind == EXPRESSION_ADD || is_call(node, "sum"); }

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

// log(sum exp) of any number of registers, in groups where there are many.
static int emit_logsumexp(struct builder *builder, int *registers, size_t count) {
  while (count > 1) {
    size_t groups = 0;
    for (size_t first = 0; first < count; first += TERM_LIMIT) {
      size_t size = count - first < TERM_LIMIT ? count - first : TERM_LIMIT;
      int sum = registers[first];
      if (size > 1) sum = emit(builder, OPERATION_LOGSUMEXP, 0, 0, 0, (int)size, registers + first);
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
    reg = i ? emit_two(builder, operation, reg, next) : next;
    if (reg < 0) return -1;
  }
  return reg;
}

// The logarithm of something that is positive.
static int compile_log(struct builder *builder, const struct expression_node *node) {
  if (!has_parameter(builder, node)) return log_data_register(builder, node);
  struct expression_node **arguments = node->arguments;
  bool sure = positive(builder, node);
  if (!sure) return emit_one(builder, OPERATION_LOG, compile_value(builder, node));
  switch (node->kind) {
    case EXPRESSION_NAME:
    case EXPRESSION_INDEXED:
      if (builder->law->parameters[law_find_parameter(builder->law, node->text)].positive)
        return leaf_register(builder, node);
      return emit_one(builder, OPERATION_LOG, leaf_register(builder, node));
    case EXPRESSION_ADD:
      if (!every_positive(builder, node)) return emit_one(builder, OPERATION_LOG, compile_value(builder, node));
      return log_of_sum(builder, node);
    case EXPRESSION_MULTIPLY:
      return chain(builder, node, OPERATION_ADD, true);
    case EXPRESSION_DIVIDE:
      return chain(builder, node, OPERATION_SUBTRACT, true);
    case EXPRESSION_POWER:
      return emit_two(builder, OPERATION_MULTIPLY, compile_value(builder, arguments[1]),
                      compile_log(builder, arguments[0]));
    case EXPRESSION_CONDITION: {
      int condition = compile_value(builder, arguments[0]), yes = compile_log(builder, arguments[1]);
      return emit(builder, OPERATION_SELECT, condition, yes, compile_log(builder, arguments[2]), 0, NULL);
    }
    default:
      break;
  }
  if (is_call(node, "exp")) return compile_value(builder, arguments[0]);
  if (is_call(node, "pow"))
    return emit_two(builder, OPERATION_MULTIPLY, compile_value(builder, arguments[1]),
                    compile_log(builder, arguments[0]));
  if (is_call(node, "sqrt"))
    return emit_two(builder, OPERATION_MULTIPLY, constant_register(builder, 0.5), compile_log(builder, arguments[0]));
  if (every_positive(builder, node)) {
    if (is_call(node, "sum")) return log_of_sum(builder, node);
    if (is_call(node, "min")) return chain(builder, node, OPERATION_MIN, true);
    if (is_call(node, "max")) return chain(builder, node, OPERATION_MAX, true);
  }
  return emit_one(builder, OPERATION_LOG, compile_value(builder, node));
}

// Whether a product or quotient holds a power or a positive parameter, so that logarithms are the better way.
static bool wants_log(struct builder *builder, const struct expression_node *node) {
  if (node->kind == EXPRESSION_MULTIPLY || node->kind == EXPRESSION_DIVIDE)
    return wants_log(builder, node->arguments[0]) || wants_log(builder, node->arguments[1]);
  return has_parameter(builder, node) &&
         (node->kind == EXPRESSION_POWER || is_call(node, "pow") || is_call(node, "exp"));
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
  static const struct {
    const char *name;
    enum operation operation;
  } ones[] = {{"abs", OPERATION_ABS},   {"sqrt", OPERATION_SQRT},   {"tanh", OPERATION_TANH},
              {"sin", OPERATION_SIN},   {"cos", OPERATION_COS},     {"floor", OPERATION_FLOOR},
              {"ceil", OPERATION_CEIL}, {"round", OPERATION_ROUND}, {"exp", OPERATION_EXP}};
  const char *name = node->text;
  bool many = is_call(node, "sum") || is_call(node, "mean") || is_call(node, "min") || is_call(node, "max") ||
              is_call(node, "logsumexp");
  int wanted = is_call(node, "pow") ? 2 : 1;
  if (many ? node->count < 1 : node->count != wanted) {
    error_set(builder->error, EXIT_USAGE_ERROR, "%s takes %s%d argument%s, not %d", name, many ? "at least " : "",
              wanted, wanted == 1 ? "" : "s", node->count);
    return -1;
  }
  if (is_call(node, "logsumexp")) return compile_logsumexp(builder, node);
  if (is_call(node, "sum")) return chain(builder, node, OPERATION_ADD, false);
  if (is_call(node, "min")) return chain(builder, node, OPERATION_MIN, false);
  if (is_call(node, "max")) return chain(builder, node, OPERATION_MAX, false);
  if (is_call(node, "mean"))
    return emit_two(builder, OPERATION_DIVIDE, chain(builder, node, OPERATION_ADD, false),
                    constant_register(builder, node->count));
  if (is_call(node, "pow"))
    return emit_power(builder, compile_value(builder, node->arguments[0]), compile_value(builder, node->arguments[1]));
  double scale = is_call(node, "log") ? 1 : is_call(node, "log2") ? log(2) : is_call(node, "log10") ? log(10) : 0;
  if (scale > 0) {
    int reg = compile_log(builder, node->arguments[0]);
    return scale == 1 ? reg : emit_two(builder, OPERATION_DIVIDE, reg, constant_register(builder, scale));
  }
  int argument = compile_value(builder, node->arguments[0]);
  for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
    if (strcmp(ones[i].name, name) == 0) return emit_one(builder, ones[i].operation, argument);
  error_set(builder->error, EXIT_USAGE_ERROR, "unknown function '%s'", name);
  return -1;
}

static int compile_in(struct builder *builder, const struct expression_node *node) {
  int value = compile_value(builder, node->arguments[0]), any = -1;
  for (int i = 1; i < node->count; i++) {
    int equal = emit_two(builder, OPERATION_EQUAL, value, compile_value(builder, node->arguments[i]));
    any = i == 1 ? equal : emit_two(builder, OPERATION_OR, any, equal);
  }
  return any;
}

static int compile_value(struct builder *builder, const struct expression_node *node) {
  if (node->kind == EXPRESSION_TEXT) {
    error_set(builder->error, EXIT_USAGE_ERROR, "the text \"%s\" is where a number is needed", node->text);
    return -1;
  }
  if (!has_parameter(builder, node)) return data_register(builder, node);
  if (node->kind == EXPRESSION_NAME || node->kind == EXPRESSION_INDEXED) {
    int leaf = leaf_register(builder, node);
    bool exponent = builder->law->parameters[law_find_parameter(builder->law, node->text)].positive;
    return exponent ? emit_one(builder, OPERATION_EXP, leaf) : leaf;
  }
  struct expression_node **arguments = node->arguments;
  if (wants_log(builder, node) && positive(builder, node))
    return emit_one(builder, OPERATION_EXP, compile_log(builder, node));
  if (node->kind == EXPRESSION_CALL) return compile_call(builder, node);
  if (node->kind == EXPRESSION_IN) return compile_in(builder, node);
  int a = compile_value(builder, arguments[0]), b = node->count > 1 ? compile_value(builder, arguments[1]) : a;
  if (a < 0 || b < 0) return -1;
  switch (node->kind) {
    case EXPRESSION_NEGATE:
      return emit_one(builder, OPERATION_NEGATE, a);
    case EXPRESSION_NOT:
      return emit_one(builder, OPERATION_NOT, a);
    case EXPRESSION_ADD:
      return emit_two(builder, OPERATION_ADD, a, b);
    case EXPRESSION_SUBTRACT:
      return emit_two(builder, OPERATION_SUBTRACT, a, b);
    case EXPRESSION_MULTIPLY:
      return emit_two(builder, OPERATION_MULTIPLY, a, b);
    case EXPRESSION_DIVIDE:
      return emit_two(builder, OPERATION_DIVIDE, a, b);
    case EXPRESSION_MODULO:
      return emit_two(builder, OPERATION_MODULO, a, b);
    case EXPRESSION_POWER:
      return emit_power(builder, a, b);
    case EXPRESSION_EQUAL:
      return emit_two(builder, OPERATION_EQUAL, a, b);
    case EXPRESSION_UNEQUAL:
      return emit_two(builder, OPERATION_UNEQUAL, a, b);
    case EXPRESSION_LESS:
      return emit_two(builder, OPERATION_LESS, a, b);
    case EXPRESSION_LESS_EQUAL:
      return emit_two(builder, OPERATION_LESS_EQUAL, a, b);
    case EXPRESSION_GREATER:
      return emit_two(builder, OPERATION_LESS, b, a);
    case EXPRESSION_GREATER_EQUAL:
      return emit_two(builder, OPERATION_LESS_EQUAL, b, a);
    case EXPRESSION_AND:
      return emit_two(builder, OPERATION_AND, a, b);
    case EXPRESSION_OR:
      return emit_two(builder, OPERATION_OR, a, b);
    case EXPRESSION_CONDITION:
      return emit(builder, OPERATION_SELECT, a, b, compile_value(builder, arguments[2]), 0, NULL);
    default:
      break;
  }
  error_set(builder->error, EXIT_USAGE_ERROR, "the formula cannot be compiled");
  return -1;
}

// Each row's result times its scale, so that residuals, derivatives and objective are all in units of it.
static int scaled_result(struct builder *builder) {
  struct program *program = builder->program;
  double *data = arena_array(builder->arena, program->padded + 1, sizeof *data);
  for (size_t i = 0; i < program->padded; i++) data[i] = builder->rows.scale[i < program->rows ? i : 0];
  return emit_two(builder, OPERATION_MULTIPLY, program->result, column_register(builder, "scale of the row", data));
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
  find_facts(&builder, root);
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
