import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { boot } from "../lib/boot";
import { usePlace } from "../lib/router";
import { Door, Mark, Moon, Sun } from "./icons";

const LINKS: [path: string, title: string][] = [
  ["/", "Overview"],
  ["/errors", "Errors"],
  ["/history", "History"],
  ["/areas", "Areas"],
  ["/system", "System"],
];

/** The frame of every page: the current page, links to the others, and the session. */
export function Layout({ children }: { children: ComponentChildren }) {
  const { path } = usePlace();
  const content = useRef<HTMLElement>(null);
  const shown = useRef(path);
  useEffect(() => {
    // As after loading a page: keyboards and screen readers begin at the top of the new page.
    if (shown.current !== path) {
      shown.current = path;
      content.current?.focus({ preventScroll: true });
    }
  }, [path]);
  return (
    <div class="page">
      <a class="skip-link btn m-2" href="#content">
        Skip to the content
      </a>
      <header class="navbar top-header d-print-none">
        <div class="container-xl top-bar">
          <a class="top-brand" href="/">
            <Mark />
            Tallymark
          </a>
          <nav class="top-pages" aria-label="Pages">
            <ul>
              {LINKS.map(([address, title]) => (
                <li key={address}>
                  <a href={address} aria-current={path === address ? "page" : undefined}>
                    {title}
                  </a>
                </li>
              ))}
            </ul>
          </nav>
          <div class="top-viewer">
            <ThemeButton />
            <SignOut />
          </div>
        </div>
      </header>
      <main class="page-wrapper" id="content" tabIndex={-1} ref={content}>
        {children}
        <footer class="foot container-xl d-print-none">
          <span>Tallymark {boot.version}</span>
          <a href="/docs">HTTP API</a>
          {boot.jobPrefix && (
            <span>
              jobs that begin with <bdi>{boot.jobPrefix}</bdi>
            </span>
          )}
        </footer>
      </main>
    </div>
  );
}

/** The heading of a page, with its badges and buttons. Also sets the title of the browser's tab. */
export function PageHead({ title, children }: { title: string; children?: ComponentChildren }) {
  useEffect(() => {
    document.title = `${title} · Tallymark`;
  }, [title]);
  return (
    <div class="page-header mt-3">
      <div class="container-xl page-top">
        <h1 class="page-title">
          <bdi>{title}</bdi>
        </h1>
        <div class="page-beside">{children}</div>
      </div>
    </div>
  );
}

/** The body of a page, below its heading. */
export function PageBody({ children }: { children: ComponentChildren }) {
  return (
    <div class="page-body mt-3">
      <div class="container-xl">{children}</div>
    </div>
  );
}

function ThemeButton() {
  const root = document.documentElement;
  const [dark, setDark] = useState(root.dataset.bsTheme === "dark");
  useEffect(() => {
    const look = () => setDark(root.dataset.bsTheme === "dark");
    addEventListener("themechange", look);
    return () => removeEventListener("themechange", look);
  }, []);
  function turn() {
    root.dataset.bsTheme = dark ? "light" : "dark";
    try {
      localStorage.setItem("tallymark-theme", root.dataset.bsTheme);
    } catch {
      // If nothing may be stored, the choice holds until the page is left.
    }
    // Charts must be redrawn, because they get computed colours.
    dispatchEvent(new Event("themechange"));
  }
  const name = dark ? "Light colours" : "Dark colours";
  return (
    <button type="button" class="btn btn-ghost btn-icon" onClick={turn} aria-label={name} title={name}>
      {dark ? <Sun /> : <Moon />}
    </button>
  );
}

/** Ends the session and goes to the sign-in page, which shows whether it worked. */
async function signOut() {
  await fetch("/sign-out", { method: "POST", headers: { "X-CSRF-Token": boot.csrf } }).catch(() => null);
  location.assign("/sign-in");
}

function SignOut() {
  return (
    <button
      type="button"
      class="btn btn-ghost"
      onClick={signOut}
      title={boot.name ? `Signed in with the token ${boot.name}` : "Signed in with one of the server's own tokens"}
    >
      <Door />
      <span class="sign-out-text">Sign out</span>
    </button>
  );
}
