// What a law's formula is compiled with: what is known of its nodes, and the program while it grows. Registers are
// numbers; one below 0 is an error that is in the builder's, and every function passes it on.
#pragma once
#include "fitting/program_internal.h"

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
  // Of the body of a sum over a schedule; NULL and 0 else.
  struct builder *outer;            // of the rows that have the pieces
  const struct rate_piece *pieces;  // [rows.count], next to rows.rows: the row that each is of
  int *inputs;                      // registers of `outer` that the body's leaves read
};

// What is known of a value whatever the parameters are.
enum sign { SIGN_UNKNOWN, SIGN_NOT_NEGATIVE, SIGN_POSITIVE };

// What is asked of a node at every level above it: found once, so that compiling takes time in proportion to the
// formula's length.
struct facts {
  const struct expression_node *node;
  bool has_parameter, has_piece, sign_known;
  enum sign sign;
};

// Fills the table of facts for the nodes below root; before anything else is asked.
void builder_find_facts(struct builder *builder, const struct expression_node *root);
struct facts *builder_facts(const struct builder *builder, const struct expression_node *node);
// Whether a parameter of the law is in the node.
bool builder_has_parameter(const struct builder *builder, const struct expression_node *node);
// The sign of the node's value in every row and for all values of the parameters, where that is known.
enum sign builder_sign(struct builder *builder, const struct expression_node *node);
bool node_is_call(const struct expression_node *node, const char *name);

int builder_constant(struct builder *builder, double value);
// A column of [padded] values, one a row; the key is what finds it again.
int builder_column(struct builder *builder, const char *key, const double *data);
// The register of a parameter in internal coordinates.
int builder_leaf(struct builder *builder, const struct expression_node *node);
// A part of the formula without parameters, computed for every row; its logarithm.
int builder_data(struct builder *builder, const struct expression_node *node);
int builder_log_data(struct builder *builder, const struct expression_node *node);

// Whether the node is the same for all pieces of a row: computed outside the sum whose body this builder makes.
bool builder_is_outside(const struct builder *builder, const struct expression_node *node);
// The register of a body that holds what register `outer` of the rows' program does.
int builder_input(struct builder *builder, int outer);
// A text that is the same for equal nodes only, in the arena.
const char *builder_node_key(const struct builder *builder, const struct expression_node *node);
// program_sum.c: the register of a sum over a schedule, whose body holds parameters.
int builder_sum(struct builder *builder, const struct expression_node *node);
// program_compile.c: the register of a node's value.
int builder_value(struct builder *builder, const struct expression_node *node);

// Adds an instruction of a, b and c, or of `count` operands, or finds the one that does the same.
int builder_emit(struct builder *builder, enum operation operation, int a, int b, int c, int count,
                 const int *operands);
int builder_emit_sum(struct builder *builder, const struct program_sum *sum, int count, const int *operands);
int builder_emit_one(struct builder *builder, enum operation operation, int a);
int builder_emit_two(struct builder *builder, enum operation operation, int a, int b);
