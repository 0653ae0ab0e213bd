import { render } from "preact";
import { useErrorBoundary } from "preact/hooks";
import "./app.css";
import { followLinks, usePlace } from "./lib/router";
import { AreasPage } from "./pages/areas";
import { ErrorsPage } from "./pages/errors";
import { HistoryPage } from "./pages/history";
import { JobPage } from "./pages/job";
import { OverviewPage } from "./pages/overview";
import { SystemPage } from "./pages/system";
import { Layout } from "./parts/layout";

const PAGES: Record<string, () => preact.JSX.Element> = {
  "/": OverviewPage,
  "/job": JobPage,
  "/errors": ErrorsPage,
  "/history": HistoryPage,
  "/areas": AreasPage,
  "/system": SystemPage,
};

function App() {
  const { path } = usePlace();
  const Page = PAGES[path] ?? OverviewPage;
  return (
    <Layout>
      <Guarded key={path}>
        <Page />
      </Guarded>
    </Layout>
  );
}

/** Shows an error if a page cannot be drawn, which is a defect of ours, instead of nothing. */
function Guarded({ children }: { children: preact.ComponentChildren }) {
  const [error] = useErrorBoundary((reason) => console.error(reason));
  if (!error) {
    return <>{children}</>;
  }
  return (
    <div class="container-xl mt-3">
      <div class="alert alert-danger" role="alert">
        This page could not be drawn: {String(error)}. Reload it, or open another page.
      </div>
    </div>
  );
}

followLinks(new Set(Object.keys(PAGES)));
const root = document.getElementById("app");
if (root) {
  root.replaceChildren();
  render(<App />, root);
}
