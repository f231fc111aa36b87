// The loss head on a chunk of logits (rows, V): cross-entropy, and beside it the divergence from a teacher. The gradient is
// written to the logits' place or to one of its own.
#include <cmath>
#include <cstring>

#include "train/walk.h"

namespace kinglet::train {
namespace {

double log_sum_exp(const GradientKernels& k, const float* x, int64_t n) {
  float most = 0, sum = 0;
  k.sum_exp(x, n, &most, &sum);
  return double{most} + std::log(double{sum});
}

/// KL(p, q) in nats of p = softmax(teacher / temperature) and q = softmax(student / temperature), and where `d` is not null
/// factor * (q - p) added to it. All three rows (V) are used up.
// Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network".
struct TemperedRow {
  float* student;
  float* teacher;
  float* scratch;
  int64_t V;
  float inverse_temperature;
  float factor;
};
double divergence(const KernelTable& kernels, const GradientKernels& k, const TemperedRow& row, float* d) {
  kernels.scale(row.student, row.inverse_temperature, row.V, row.student);
  kernels.scale(row.teacher, row.inverse_temperature, row.V, row.teacher);
  const double student = log_sum_exp(k, row.student, row.V), teacher = log_sum_exp(k, row.teacher, row.V);
  float* p = row.scratch;
  std::memcpy(p, row.teacher, static_cast<size_t>(row.V) * sizeof(float));
  k.scaled_exp(p, row.V, static_cast<float>(teacher), 1.0f);
  double sum = 0;
  for (int64_t v = 0; v < row.V; ++v)
    sum += double{p[v]} * ((double{row.teacher[v]} - teacher) - (double{row.student[v]} - student));
  if (d == nullptr) return sum;
  k.scaled_exp(row.student, row.V, static_cast<float>(student), row.factor);
  k.add_scaled(row.student, 1.0f, row.V, d);
  k.add_scaled(p, -row.factor, row.V, d);
  return sum;
}

}  // namespace

void Walk::run_loss(const Action& action, Head which) {
  const int64_t V = width(tools.program.logits);
  const Matrix logits = matrix(action.out, V), gradient = matrix(action.d_out, V);
  const bool backward = which == Head::backward && gradient.data != nullptr;
  tools.parallel.for_each(logits.rows, [&](int64_t i, int worker) {
    const auto at = static_cast<size_t>(chunk_first + i);
    const int32_t target = batch.targets[static_cast<size_t>(outputs[at])];
    const double log_sum = log_sum_exp(*tools.gradients, logits.row(i), V);
    row_losses[at] = log_sum - double{logits.row(i)[target]};
    float* student = logits.row(i);
    if (distillation != nullptr) {  // the gradient may take the logits' place
      student = distillation->rows(worker);
      std::memcpy(student, logits.row(i), static_cast<size_t>(V) * sizeof(float));
    }
    float* d = backward ? gradient.row(i) : nullptr;
    if (backward) {
      if (d != logits.row(i)) std::memcpy(d, logits.row(i), static_cast<size_t>(V) * sizeof(float));
      tools.gradients->scaled_exp(d, V, static_cast<float>(log_sum), row_weights[at]);
      d[target] -= row_weights[at];
    }
    if (distillation == nullptr) return;
    const auto temperature = static_cast<float>(distillation->temperature);
    distillation->divergences[at] = divergence(*tools.kernels, *tools.gradients,
                                               {.student = student,
                                                .teacher = distillation->teacher + i * V,
                                                .scratch = student + V,
                                                .V = V,
                                                .inverse_temperature = 1.0f / temperature,
                                                .factor = static_cast<float>(distillation->weight) * temperature},
                                               d);
  });
}

}  // namespace kinglet::train
