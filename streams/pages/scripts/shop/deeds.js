/** What shoppers do, in words: an action of the history, or the topic of an event. */

const DEEDS = {
  click: "looked at",
  clicks: "looked at",
  add: "put in the cart",
  remove: "took from the cart",
  purchase: "bought",
  review: "reviewed",
  reviews: "reviewed",
};

export const did = (action) => DEEDS[action] ?? action;
