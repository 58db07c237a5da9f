// The program of a law while it grows: registers, instructions, parameters and columns, each of them once.
#include "fitting/program_builder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/table_internal.h"

enum { REGISTER_LIMIT = 20000 };

// ---- facts of nodes ----

struct facts *builder_facts(const struct builder *builder, const struct expression_node *node) {
  size_t place = ((uintptr_t)node / sizeof(void *) * 0x9E3779B97F4A7C15u) >> 20 & builder->facts_mask;
  while (builder->facts[place].node && builder->facts[place].node != node) place = (place + 1) & builder->facts_mask;
  return &builder->facts[place];
}

bool builder_has_parameter(const struct builder *builder, const struct expression_node *node) {
  return builder_facts(builder, node)->has_parameter;
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
  *builder_facts(builder, node) =
      (struct facts){.node = node, .has_parameter = found, .has_piece = expression_has_piece(node)};
  return found;
}

void builder_find_facts(struct builder *builder, const struct expression_node *root) {
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

int builder_constant(struct builder *builder, double value) {
  for (int reg = 0; reg < builder->program->register_count; reg++)
    if (builder->program->constant[reg] && memcmp(&builder->program->constants[reg], &value, sizeof value) == 0)
      return reg;
  int reg = new_registers(builder, 1, NULL);
  if (reg < 0) return -1;
  builder->program->constant[reg] = true;
  builder->program->constants[reg] = value;
  return reg;
}

bool builder_is_outside(const struct builder *builder, const struct expression_node *node) {
  return builder->outer && !builder_facts(builder, node)->has_piece;
}

// Adds an instruction, or finds the one that does the same. Operands below 0 are errors passed on.
static int emit(struct builder *builder, enum operation operation, const struct program_sum *sum, int a, int b, int c,
                int count, const int *operands) {
  struct program *program = builder->program;
  if (a < 0 || b < 0 || c < 0) return -1;
  for (int k = 0; k < count; k++)
    if (operands[k] < 0) return -1;
  for (int k = 0; k < program->instruction_count; k++) {
    const struct instruction *known = &program->instructions[k];
    bool same_sum = !known->sum == !sum && (!sum || strcmp(known->sum->key, sum->key) == 0);
    if (known->operation == operation && known->a == a && known->b == b && known->c == c && known->count == count &&
        same_sum && (!count || memcmp(known->operands, operands, (size_t)count * sizeof *operands) == 0))
      return known->out;
  }
  struct instruction made = {.operation = operation, .a = a, .b = b, .c = c, .count = count, .sum = sum};
  made.out = new_registers(builder, operation == OPERATION_SOFTPLUS ? 2 : 1 + count, NULL);
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
  if (sum) {
    builder->varies[made.out] = true;
    made.number = program->sum_count++;
  }
  made.uniform = !builder->varies[made.out];
  program->instructions[program->instruction_count++] = made;
  return made.out;
}

int builder_emit(struct builder *builder, enum operation operation, int a, int b, int c, int count,
                 const int *operands) {
  return emit(builder, operation, NULL, a, b, c, count, operands);
}

int builder_emit_sum(struct builder *builder, const struct program_sum *sum, int count, const int *operands) {
  return emit(builder, OPERATION_SUM, sum, operands[0], operands[0], operands[0], count, operands);
}

int builder_emit_one(struct builder *builder, enum operation operation, int a) {
  return builder_emit(builder, operation, a, a, a, 0, NULL);
}

int builder_emit_two(struct builder *builder, enum operation operation, int a, int b) {
  return builder_emit(builder, operation, a, b, b, 0, NULL);
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

int builder_input(struct builder *builder, int outer) {
  if (outer < 0) return -1;
  const struct program *rows = builder->outer->program;
  if (rows->constant[outer]) return builder_constant(builder, rows->constants[outer]);
  const char *key = arena_format(builder->arena, "input %d", outer);
  int known = find_key(builder, key);
  if (known >= 0) return known;
  int number = builder->program->leaf_count, reg = add_leaf(builder, key, number, NULL);
  if (reg < 0) return -1;
  builder->program->active[reg] = rows->active[outer];
  builder->inputs[number] = outer;
  return reg;
}

// A leaf that another parameter is tied to, in the coordinates of that one.
static int tied_register(struct builder *builder, int parameter, int leaf, int element) {
  bool logarithmic = builder->elements[element].logarithmic, wanted = builder->law->parameters[parameter].positive;
  if (leaf < 0 || logarithmic == wanted) return leaf;
  return builder_emit_one(builder, wanted ? OPERATION_LOG : OPERATION_EXP, leaf);
}

// The register of a parameter in internal coordinates.
int builder_leaf(struct builder *builder, const struct expression_node *node) {
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

const char *builder_node_key(const struct builder *builder, const struct expression_node *node) {
  struct text text = {0};
  node_key(&text, node);
  const char *key = arena_string(builder->arena, text_string(&text));
  text_free(&text);
  return key;
}

int builder_column(struct builder *builder, const char *key, const double *data) {
  int reg = new_registers(builder, 1, key);
  if (reg < 0) return -1;
  builder->program->columns[reg] = data;
  builder->varies[reg] = true;
  return reg;
}

// A part of the formula without parameters, computed for every row.
int builder_data(struct builder *builder, const struct expression_node *node) {
  if (node->kind == EXPRESSION_NUMBER) return builder_constant(builder, node->number);
  struct program *program = builder->program;
  const char *key = builder_node_key(builder, node);
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
    bool fine = builder->pieces
                    ? expression_number_of_piece(expression, slots, &builder->pieces[i], &data[i], builder->error)
                    : expression_number(expression, slots, &data[i], builder->error);
    if (!fine) {
      error_context(builder->error, "formula, row %s", builder->table->row_names[builder->rows.rows[i]]);
      return -1;
    }
    same &= data[i] == data[0];
  }
  if (same && !expression->name_count && !builder->pieces) return builder_constant(builder, data[0]);
  for (size_t i = program->rows; i < program->padded; i++) data[i] = data[0];
  return builder_column(builder, key, data);
}

int builder_log_data(struct builder *builder, const struct expression_node *node) {
  struct program *program = builder->program;
  int plain = builder_data(builder, node);
  if (plain < 0) return -1;
  if (program->constant[plain]) return builder_constant(builder, log(program->constants[plain]));
  const char *key = arena_format(builder->arena, "log %s", builder->keys[plain]);
  int known = find_key(builder, key);
  if (known >= 0) return known;
  double *data = arena_array(builder->arena, program->padded + 1, sizeof *data);
  for (size_t i = 0; i < program->padded; i++) data[i] = log(program->columns[plain][i]);
  return builder_column(builder, key, data);
}
