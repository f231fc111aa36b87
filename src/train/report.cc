#include "train/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "formats/html.h"
#include "formats/json.h"

namespace kinglet::train {
namespace {

constexpr double kWidth = 860, kHeight = 300;                       // of a chart, in its own units
constexpr double kLeft = 64, kRight = 12, kTop = 12, kBottom = 28;  // margins, where the numbers stand
constexpr size_t kMostPoints = 600;                                 // of a curve: more than its pixels would show
constexpr double kSmoothing = 0.03;

constexpr char kStyle[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:920px;margin:2em auto;padding:0 "
    "1em;color:#1c2024;background:#fff}"
    "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse}td{padding:.15em 1.5em .15em "
    "0;vertical-align:top}"
    "td:first-child{color:#60646c}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f5f6;padding:.7em "
    "1em;border-radius:6px}"
    "svg{width:100%;height:auto}svg text{font:11px "
    "system-ui,sans-serif;fill:#60646c}.grid{stroke:#e3e5e8}.c0{stroke:#b6c7e6}.c1{stroke:#1f5fbf}"
    ".c2{stroke:#c2410c}.c3{stroke:#15803d}polyline{fill:none;stroke-width:1.6}.key{font-size:.85em}.key "
    "span{margin-right:1.2em}"
    ".key svg{width:24px;height:8px;margin-right:.4em}"
    "@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#16181a}pre{background:#222528}.grid{stroke:#"
    "303438}.c0{stroke:#3c4f70}.c1{stroke:#7fb0ff}}";

using Points = std::vector<std::pair<double, double>>;

/// Means of as many neighbours as leave kMostPoints.
Points thinned(const Points& points) {
  const size_t each = (points.size() + kMostPoints - 1) / kMostPoints;
  if (each <= 1) return points;
  Points out;
  for (size_t begin = 0; begin < points.size(); begin += each) {
    const size_t end = std::min(begin + each, points.size());
    double x = 0, y = 0;
    for (size_t i = begin; i < end; ++i) x += points[i].first, y += points[i].second;
    const auto count = static_cast<double>(end - begin);
    out.emplace_back(x / count, y / count);
  }
  return out;
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void add(double v) {
    if (!std::isfinite(v)) return;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  /// Room for a line where all values are one.
  void widen() {
    if (low > high) low = 0, high = 1;
    if (low == high) low -= 0.5 * std::abs(low) + 1e-12, high += 0.5 * std::abs(high) + 1e-12;
  }
};

/// A step of 1, 2 or 5 times a power of ten that cuts the range in about `parts`.
double tick_step(const Range& range, int parts) {
  const double raw = (range.high - range.low) / parts, power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= raw) return factor * power;
  return 10 * power;
}

class Canvas {
 public:
  Canvas(const Range& x, const Range& y) : x_(x), y_(y) {}

  double px(double x) const { return kLeft + (x - x_.low) / (x_.high - x_.low) * (kWidth - kLeft - kRight); }
  double py(double y) const {
    return kHeight - kBottom - (y - y_.low) / (y_.high - y_.low) * (kHeight - kTop - kBottom);
  }

  void grid() {
    const double dy = tick_step(y_, 5), dx = tick_step(x_, 8);
    for (double y = std::ceil(y_.low / dy) * dy; y <= y_.high; y += dy) {
      add("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft, kWidth - kRight, py(y),
          py(y));
      add("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.4g}</text>", kLeft - 6, py(y) + 4,
          std::abs(y) < dy * 1e-6 ? 0.0 : y);
    }
    for (double x = std::ceil(x_.low / dx) * dx; x <= x_.high; x += dx)
      add("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:g}</text>", px(x), kHeight - 8, x);
  }
  void line(const Points& points, size_t color) {
    std::string path;
    for (const auto& [x, y] : points)
      if (std::isfinite(y)) path += fmt::format("{:.1f},{:.1f} ", px(x), py(y));
    add("<polyline class=\"c{}\" points=\"{}\"/>", color, path);
  }
  const std::string& text() const { return text_; }

 private:
  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...);
  }
  Range x_, y_;
  std::string text_;
};

std::string svg(const Chart& chart) {
  Range x, y;
  std::vector<Points> lines;
  for (const Curve& curve : chart.curves) {
    lines.push_back(thinned(curve.points));
    for (const auto& [px, py] : lines.back()) x.add(px), y.add(py);
  }
  x.widen();
  y.widen();
  Canvas canvas(x, y);
  canvas.grid();
  std::string key;
  for (size_t i = 0; i < lines.size(); ++i) {
    canvas.line(lines[i], i % 4);
    key += fmt::format("<span><svg viewBox=\"0 0 24 8\"><polyline class=\"c{}\" points=\"0,4 24,4\"/></svg>{}</span>",
                       i % 4, escape_html(chart.curves[i].name));
  }
  return fmt::format("<h2>{}</h2>\n<div class=\"key\">{}</div>\n<svg viewBox=\"0 0 {} {}\" role=\"img\">{}</svg>\n",
                     escape_html(chart.title), key, kWidth, kHeight, canvas.text());
}

std::string table(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string out = "<table>\n";
  for (const auto& [name, value] : rows)
    out += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", escape_html(name), escape_html(value));
  return out + "</table>\n";
}

Points column(const std::vector<Json>& log, const char* key) {
  Points out;
  for (const Json& line : log) {
    const auto value = line.find(key);
    if (value != line.end() && value->is_number()) out.emplace_back(line["step"].get<double>(), value->get<double>());
  }
  return out;
}

Points smoothed(const Points& points) {
  Points out;
  double mean = 0;
  for (const auto& [x, y] : points) {
    mean = out.empty() ? y : mean + std::max(kSmoothing, 1.0 / static_cast<double>(out.size() + 1)) * (y - mean);
    out.emplace_back(x, mean);
  }
  return out;
}

}  // namespace

std::vector<Chart> charts_of(const std::vector<Json>& log) {
  const Points loss = column(log, "loss"), held_out = column(log, "held_out_loss");
  Chart losses{"Loss (nats a token)", {{"a step", loss}, {"smoothed", smoothed(loss)}}};
  if (!held_out.empty()) losses.curves.push_back({"held out", held_out});
  return {losses,
          {"Learning rate", {{"learning rate", column(log, "lr")}}},
          {"Norm of the gradient, before clipping", {{"norm", column(log, "grad_norm")}}},
          {"Tokens a second", {{"tokens a second", column(log, "tokens_per_second")}}}};
}

std::string html(const Report& report) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width\">\n"
      "<title>{}</title>\n<style>{}</style>\n<h1>{}</h1>\n",
      escape_html(report.title), kStyle, escape_html(report.title));
  out += table(report.figures);
  for (const Chart& chart : report.charts) out += svg(chart);
  if (!report.samples.empty()) out += "<h2>Samples</h2>\n";
  for (const ReportSample& s : report.samples) {
    out += fmt::format("<p>Prompt</p>\n<pre>{}</pre>\n", escape_html(s.prompt));
    if (!s.before.empty()) out += fmt::format("<p>Before</p>\n<pre>{}</pre>\n", escape_html(s.before));
    out += fmt::format("<p>After</p>\n<pre>{}</pre>\n", escape_html(s.after));
  }
  return out + "<h2>Settings</h2>\n" + table(report.settings) + "</html>\n";
}

}  // namespace kinglet::train
