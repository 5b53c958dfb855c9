// The metrics of a process at one moment, gathered from those who count and written in the
// text format of Prometheus (version 0.0.4). For one thread.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/metric.h"

namespace shoal {

class MetricReport {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  // Samples of one name, with different labels, make one family, in the order in which the
  // first of each came.
  void Add(const Counter& counter, Labels labels = {});
  void Add(const Histogram& histogram, Labels labels = {});
  void AddCounter(std::string_view name, std::string_view doc, double value, Labels labels = {});
  void AddGauge(std::string_view name, std::string_view doc, double value, Labels labels = {});

  [[nodiscard]] const std::vector<prometheus::MetricFamily>& families() const { return families_; }
  [[nodiscard]] std::string Text() const;

 private:
  prometheus::ClientMetric& Sample(std::string_view name, std::string_view doc,
                                   prometheus::MetricType type, Labels labels);

  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace shoal
