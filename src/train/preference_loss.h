// Losses that compare answers: functions of the log probabilities of whole answers.
// Sources: DPO, Rafailov et al. 2023; IPO, Azar et al. 2023; SimPO, Meng et al. 2024; ORPO, Hong et al. 2024; KTO,
// Ethayarajh et al. 2024; averages over an answer's tokens where the TRL library takes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/status.h"

namespace kinglet::train {

enum class PreferenceMethod : uint8_t { dpo, ipo, simpo, orpo, kto };
std::optional<PreferenceMethod> preference_method(std::string_view name);
/// SimPO and ORPO need no reference model.
bool needs_reference(PreferenceMethod method);

struct PreferenceOptions {
  PreferenceMethod method = PreferenceMethod::dpo;
  double beta =
      0.1;  ///< how far the policy may go from the reference; SimPO: scale of the reward; ORPO: weight of the odds
  double gamma = 1.0;                             ///< SimPO: the margin that is wanted
  double wanted_weight = 1, unwanted_weight = 1;  ///< KTO
};

/// One answer: log probability (sum over its tokens, in nats) under the policy and the reference, and its tokens.
struct AnswerScore {
  double policy = 0, reference = 0;
  int64_t tokens = 0;
};

/// A loss and its derivatives by the policy's log probabilities.
struct PairLoss {
  double loss = 0;
  double d_chosen = 0, d_rejected = 0;
  double margin = 0;  ///< by which the reward of the chosen answer is the greater
};
/// Not for KTO.
PairLoss pair_loss(const PreferenceOptions& options, const AnswerScore& chosen, const AnswerScore& rejected);

struct SingleLoss {
  double loss = 0, d_policy = 0;
  double reward = 0;
};
/// KTO. `divergence`: the estimate of KL(policy, reference) that rewards are held against, 0 at least.
SingleLoss kto_loss(const PreferenceOptions& options, const AnswerScore& answer, bool wanted, double divergence);

}  // namespace kinglet::train
