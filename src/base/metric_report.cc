#include "base/metric_report.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

namespace shoal {

prometheus::ClientMetric& MetricReport::Sample(std::string_view name, std::string_view doc,
                                               prometheus::MetricType type, Labels labels) {
  auto family = std::ranges::find(families_, name, &prometheus::MetricFamily::name);
  if (family == families_.end()) {
    families_.push_back({std::string(name), std::string(doc), type, {}});
    family = families_.end() - 1;
  }
  assert(family->type == type);
  prometheus::ClientMetric& sample = family->metric.emplace_back();
  sample.label = std::move(labels);
  return sample;
}

void MetricReport::Add(const Counter& counter, Labels labels) {
  AddCounter(counter.name(), counter.doc(), static_cast<double>(counter.Value()),
             std::move(labels));
}

void MetricReport::Add(const Histogram& histogram, Labels labels) {
  prometheus::ClientMetric& sample = Sample(histogram.name(), histogram.doc(),
                                            prometheus::MetricType::Histogram, std::move(labels));
  const Histogram::Snapshot snapshot = histogram.Take();
  for (size_t i = 0; i < Histogram::kBucketCount; ++i) {
    sample.histogram.sample_count += snapshot.counts[i];
    const bool is_last = i + 1 == Histogram::kBucketCount;
    sample.histogram.bucket.push_back(
        {sample.histogram.sample_count,
         is_last ? std::numeric_limits<double>::infinity() : Histogram::BucketEndSeconds(i)});
  }
  sample.histogram.sample_sum = snapshot.sum_seconds;
}

void MetricReport::AddCounter(std::string_view name, std::string_view doc, double value,
                              Labels labels) {
  Sample(name, doc, prometheus::MetricType::Counter, std::move(labels)).counter.value = value;
}

void MetricReport::AddGauge(std::string_view name, std::string_view doc, double value,
                            Labels labels) {
  Sample(name, doc, prometheus::MetricType::Gauge, std::move(labels)).gauge.value = value;
}

std::string MetricReport::Text() const {
  return prometheus::TextSerializer().Serialize(families_);
}

}  // namespace shoal
