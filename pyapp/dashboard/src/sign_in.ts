// Sends the token in a header, as every caller does: see web/pages/sign_in.py.
const form = document.querySelector<HTMLFormElement>("#sign-in");
const field = document.querySelector<HTMLInputElement>("#token");
const trouble = document.querySelector<HTMLElement>("#trouble");

function tell(what: string): void {
  if (trouble && field) {
    trouble.textContent = what;
    trouble.hidden = false;
    field.select();
    field.focus();
  }
}

/** Whether a header can carry the token. No token has other characters. */
function isPlain(token: string): boolean {
  return /^[!-~]+$/.test(token);
}

async function signIn(target: HTMLFormElement, token: string): Promise<void> {
  if (!isPlain(token)) {
    tell("This is not a token: it has characters that no token has.");
    return;
  }
  const headers = { Authorization: `Bearer ${token}`, "X-CSRF-Token": target.dataset.csrf ?? "" };
  const answer = await fetch("/sign-in", { method: "POST", headers });
  if (answer.ok) {
    location.assign(target.dataset.next ?? "/");
  } else if (answer.status === 403 && answer.headers.get("WWW-Authenticate") === null) {
    // The form is from before the session ended, or the browser keeps no cookies.
    tell("The form has expired, or the browser does not keep cookies. Reload the page.");
  } else {
    const { detail } = await answer.json();
    tell(detail);
  }
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button?.toggleAttribute("disabled", true);
  signIn(form, field?.value.trim() ?? "")
    .catch(() => tell("The server cannot be reached."))
    .finally(() => button?.toggleAttribute("disabled", false));
});
