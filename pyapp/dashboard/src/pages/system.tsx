import { PageBody, PageHead } from "../parts/layout";
import { Accuracy } from "./system/accuracy";
import { Database } from "./system/database";
import { Endpoint } from "./system/endpoint";
import { StalledJobs, UpdateFrequency } from "./system/jobs";
import "./system/system.css";
import { Throughput } from "./system/throughput";

/** The state of the whole system: events, answers, accuracy and tables. */
export function SystemPage() {
  return (
    <>
      <PageHead title="System" />
      <PageBody>
        <Throughput />
        <div class="row">
          <div class="col-lg-8">
            <StalledJobs />
          </div>
          <div class="col-lg-4">
            <Accuracy />
          </div>
        </div>
        <UpdateFrequency />
        <Endpoint />
        <Database />
      </PageBody>
    </>
  );
}
