// A program in words, for people and for `kinglet inspect --json`.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "arch/builder.h"
#include "arch/hyper.h"

namespace kinglet {

/// One step. T and R in shapes are the tokens of a batch and the rows that outputs are asked for.
struct StepText {
  int64_t number = 0;  ///< in the program, from 1
  std::string op;
  std::string inputs;  ///< "x" (what the section before left), "#7" (the output of step 7), "#7[0:64]" (columns of it)
  std::string output;  ///< "(T, 896)"
  std::string parameters;  ///< "attn_q q4_k (896, 896), bias f32"
  std::string attributes;  ///< "14 heads of 64, eps 1e-06"
};

/// Steps that belong together. Layers with the same steps are one section, whose numbers are those of the first; where the types of their
/// parameters differ, each type is named with how many layers have it.
struct ProgramSection {
  std::vector<int64_t> layers;  ///< ascending; empty before and after the layers
  std::vector<StepText> steps;
};

/// `types`: what each parameter is stored as, by ParamId ("q4_k").
std::vector<ProgramSection> describe_program(const ProgramStorage& program, std::span<const std::string> types);

/// One line for each rope table: "32 frequencies from 1 to 1.15e-06", and what changes beyond the original context.
std::vector<std::string> describe_ropes(const ProgramStorage& program);

/// Ascending numbers as ranges: "0-4, 6, 8-9".
std::string ranges(std::span<const int64_t> numbers);

/// "(896, 4864)".
std::string shape_text(const Shape& shape);

/// How many values the parameters have, by kind; a parameter that several steps share counts once.
struct ParameterCounts {
  int64_t embedding = 0, linear = 0, norm = 0, bias = 0;
  bool tied = false;  ///< the output head multiplies with the embedding
  int64_t total() const { return embedding + linear + norm + bias; }
};
ParameterCounts count_parameters(const ProgramStorage& program);

}  // namespace kinglet
