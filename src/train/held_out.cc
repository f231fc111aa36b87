#include "train/held_out.h"

#include <cmath>

#include "host/error.h"

namespace kinglet::train {
namespace {

Sample part(const Dataset& data, size_t i, size_t begin, size_t end) {
  const auto ids = data.ids(i).subspan(begin, end - begin), labels = data.labels(i).subspan(begin, end - begin);
  return {{ids.begin(), ids.end()}, {labels.begin(), labels.end()}};
}

}  // namespace

Result<std::pair<Dataset, Dataset>> split_off_end(const Dataset& data, double share) {
  std::pair<Dataset, Dataset> out;
  const auto kept = static_cast<int64_t>(std::floor(static_cast<double>(data.tokens()) * (1 - share)));
  int64_t begin = 0;
  for (size_t i = 0; i < data.size(); ++i) {
    const auto count = static_cast<int64_t>(data.ids(i).size()), end = begin + count;
    const bool cut = data.kind(i).text && kept - begin >= 2 && end - kept >= 2;  // a token alone predicts nothing
    if (cut) {
      out.first.add(part(data, i, 0, static_cast<size_t>(kept - begin)), data.kind(i));
      out.second.add(part(data, i, static_cast<size_t>(kept - begin), static_cast<size_t>(count)), data.kind(i));
    } else {
      (end <= kept || (begin < kept && kept - begin > end - kept) ? out.first : out.second)
          .add(data.sample(i), data.kind(i));
    }
    begin = end;
  }
  if (out.first.size() == 0 || out.second.size() == 0)
    return error(Code::out_of_range, "{} samples cannot be split so that {} of their tokens are held out", data.size(),
                 share);
  return out;
}

}  // namespace kinglet::train
